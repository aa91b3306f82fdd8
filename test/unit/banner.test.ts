import { expect, test } from '@jest/globals';
import { banner } from '../../infra/local/banner';
import { topology } from '../../infra/topology';

function lineWith(word: string, { replyShards = 1, asksForTokens = false } = {}): string | undefined {
  const names = topology({ apiQueue: 'api_queue', wsQueue: 'ws_queue', replyShards }).map(({ name }) => name);
  const broker = { url: 'amqp://guest:guest@127.0.0.1:5672', embedded: true };
  const text = banner({
    webSocketUrl: 'ws://localhost:3001',
    pageUrl: 'http://localhost:3000',
    asksForTokens,
    broker,
    queues: names,
    specs: [],
  });
  return text.split('\n').find((line) => line.includes(word));
}

test('the banner lists the queues, and of many the first and the last', () => {
  const queuesLine = (replyShards: number) => lineWith('Queues', { replyShards });
  expect(queuesLine(1)).toBe('  Queues      api_queue, ws_queue, ws_queue.dead');
  expect(queuesLine(4)).toBe('  Queues      api_queue, ws_queue, ws_queue.1, ws_queue.2, ws_queue.3, ws_queue.dead');
  expect(queuesLine(32)).toBe('  Queues      api_queue, ws_queue, ws_queue.1, ..., ws_queue.31, ws_queue.dead');
});

test('the banner says who may connect and how, with a token where one is asked for', () => {
  expect(lineWith('Clients')).toBe('  Clients     anybody; AUTH=jwt asks for tokens');
  expect(lineWith('wscat')).toBe('  npx wscat -c ws://localhost:3001');
  expect(lineWith('Clients', { asksForTokens: true })).toBe('  Clients     with a token');
  const line = lineWith('wscat', { asksForTokens: true });
  expect(line).toBe('  npx wscat -c ws://localhost:3001 -s gateway.v1 -s bearer.<token>');
});
