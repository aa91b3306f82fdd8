import { describe, expect } from '@jest/globals';
import type { Properties } from '../../lib/amqp';
import { encodeCorrelation } from '../../lib/correlation';
import type { Verdict } from '../../lib/judge';
import { fault, type TestBroker } from './faults';
import type { Rig, TestReply } from './rig';

/** Replies as no service should send them, among a load of good ones: each ends by itself, and holds up no other. */

interface BadReply {
  name: string;
  body: Buffer | string | object;
  properties?: Properties;
  connectionId?: string;
  /** Of `@connections` to that connection. */
  answer?: number;
  verdict: Verdict;
}

/** Gets a good reply after each bad one. */
const neighbour = 'neighbour';
const correlationId = encodeCorrelation({ messageId: 'm', connectionId: neighbour, clientId: null });
const asJson = { contentType: 'application/json', correlationId };

const badReplies: BadReply[] = [
  { name: 'not JSON', body: '{"pattern"', properties: asJson, verdict: 'malformed' },
  { name: 'without a target', body: { pattern: 'recv', data: {} }, verdict: 'malformed' },
  { name: 'to a client that never was', body: replyTo('nobody'), connectionId: 'nobody', answer: 410, verdict: 'gone' },
  {
    name: 'to an id that no client can have',
    body: replyTo('no-id'),
    connectionId: 'no-id',
    answer: 400,
    verdict: 'malformed',
  },
  { name: 'of 1 MB', body: replyTo(neighbour, { text: 'x'.repeat(1024 * 1024) }), verdict: 'too_large' },
  { name: 'not UTF-8', body: Buffer.from('{"text":"\xff"}', 'latin1'), properties: asJson, verdict: 'malformed' },
  { name: 'nested 20,000 deep', body: nested(20_000), verdict: 'malformed' },
];

export function describeReplyFaults(broker: TestBroker): void {
  describe(`replies on ${broker.name}`, () => {
    for (const bad of badReplies) {
      fault(broker, `replies ${bad.name}`, {}, async (rig) => {
        const ids = Array.from({ length: 20 }, (_, n) => ({ bad: `bad-${n}`, good: `good-${n}` }));
        rig.answer((connectionId) => (connectionId === bad.connectionId ? (bad.answer ?? 200) : 200));
        await layAmongLoad(
          rig,
          ids.flatMap(({ bad: messageId, good }) => [
            { ...bad, connectionId: bad.connectionId ?? neighbour, properties: { ...bad.properties, messageId } },
            goodReply(good),
          ]),
        );
        return (row) => {
          expect(rig.books.arrivedAt(neighbour)).toEqual(ids.map(({ good }) => good));
          const isGone = bad.verdict === 'gone';
          expect(row).toMatchObject({ gone: isGone ? ids.length : 0, deadLettered: isGone ? 0 : ids.length });
          for (const { bad: id } of ids) expect(rig.books.verdicts.get(id)).toBe(isGone ? undefined : bad.verdict);
          expectAllElse(rig);
        };
      });
    }

    fault(broker, 'a poison reply among 99 good ones', {}, async (rig) => {
      const ids = Array.from({ length: 99 }, (_, n) => `good-${n}`);
      const replies = ids.map(goodReply);
      replies.splice(50, 0, { body: '{', connectionId: neighbour, properties: { ...asJson, messageId: 'poison' } });
      await layAmongLoad(rig, replies);
      return () => {
        expect(rig.books.arrivedAt(neighbour)).toEqual(ids);
        expect([...rig.books.verdicts]).toEqual([['poison', 'malformed']]);
        expectAllElse(rig);
      };
    });

    fault(broker, 'replies with keys of prototypes', {}, async (rig) => {
      // Written by hand: in an object literal __proto__ is no key.
      const data = `"__proto__":{"socket_id":"thief"},"constructor":{"prototype":{"socket_id":"thief"}}`;
      const event = (metadata: string) => `{${data},"pattern":"recv","data":{${data},"metadata":${metadata}}}`;
      await layAmongLoad(rig, [
        { body: event(`{"socket_id":"${neighbour}",${data}}`), ...to('own target') },
        { body: event(`{${data}}`), ...to('inherited target') },
        { body: { pattern: 'recv', data: { metadata: {} } }, ...to('no target') },
        { body: `{"pattern":{"cmd":"__proto__"},"data":{"metadata":{"socket_id":"${neighbour}"}}}`, ...to('event') },
      ]);
      return () => {
        const frame = `{"event":"recv","messageId":"own target","data":{${data}}}`;
        expect(rig.api.taken.get(neighbour)).toEqual([
          JSON.parse(frame),
          { event: '__proto__', messageId: 'event', data: {} },
        ]);
        expect(JSON.stringify(rig.api.taken.get(neighbour)?.[0])).toBe(frame);
        expect(Object.fromEntries(rig.books.verdicts)).toEqual({
          'inherited target': 'malformed',
          'no target': 'malformed',
        });
        expectAllElse(rig);
      };
    });

    fault(broker, 'ten thousand replies to one client', {}, async (rig) => {
      const ids = Array.from({ length: 10_000 }, (_, n) => `good-${n}`);
      await layAmongLoad(rig, ids.map(goodReply));
      return (row) => {
        expect(rig.books.arrivedAt(neighbour)).toEqual(ids);
        expect(row.delivered).toBe(row.messages);
        expectAllElse(rig);
      };
    });
  });
}

async function layAmongLoad(rig: Rig, replies: readonly TestReply[]): Promise<void> {
  const running = rig.load();
  await running.acked(100);
  // By portions: the embedded broker and @connections live in this process, and are to answer meanwhile.
  for (let at = 0; at < replies.length; at += 500) await rig.reply(replies.slice(at, at + 500));
  await running.done;
}

/** Those of the load, all of them, in order and as they were; by one process. */
function expectAllElse({ api, books, consumer }: Rig): void {
  const clients = [...api.taken.keys()].filter((connectionId) => connectionId.startsWith('client-'));
  expect(clients).toHaveLength(20);
  for (const connectionId of clients) {
    expect(books.arrivedAt(connectionId)).toEqual(books.servedTo(connectionId));
    for (const frame of api.taken.get(connectionId) ?? []) {
      expect(frame).toEqual({
        event: 'recv',
        id: expect.any(String),
        messageId: expect.any(String),
        traceparent: expect.any(String),
        data: { prompt: expect.any(String), answer: expect.any(String) },
      });
    }
  }
  expect(api.taken.has('thief')).toBe(false);
  expect(consumer).toMatchObject({ starts: 1, failures: [] });
}

function goodReply(messageId: string): TestReply {
  return { body: replyTo(neighbour, { messageId }), ...to(messageId) };
}

function to(messageId: string): Omit<TestReply, 'body'> {
  return { connectionId: neighbour, properties: { messageId } };
}

function replyTo(connectionId: string, data: object = {}): object {
  return { pattern: { cmd: 'recv' }, data: { ...data, metadata: { socket_id: connectionId } } };
}

function nested(depth: number): string {
  const metadata = `{"socket_id":"${neighbour}"}`;
  return `{"pattern":"recv","data":{"deep":${'['.repeat(depth)}${']'.repeat(depth)},"metadata":${metadata}}}`;
}
