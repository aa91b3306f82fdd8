import { describe, expect, test } from '@jest/globals';
import { table } from '../../../infra/local/broker/fields';
import { createMessage } from '../../../infra/local/broker/message';
import type { Entry } from '../../../infra/local/broker/queue';
import { queueSettings } from '../../../infra/local/broker/queue-arguments';
import { CLASSIC, QUORUM } from '../../../infra/local/broker/queue-type';

const settings = (limits: Record<string, number>) =>
  queueSettings(
    table(Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, { type: 'signedint', value }]))),
  );

const returned = (returns: number): Entry => ({
  message: createMessage('', ['queue'], {}, Buffer.from('body')),
  position: 0,
  expiresAt: Number.POSITIVE_INFINITY,
  returns,
});

describe('a classic queue', () => {
  test('refuses the message that would exceed a limit', () => {
    const limits = settings({ 'x-max-length': 2, 'x-max-length-bytes': 10 });
    const refuses = (count: number, bytes: number) => CLASSIC.refuses(4, { count, bytes, refused: false }, limits);
    expect([refuses(1, 6), refuses(2, 0), refuses(1, 7)]).toEqual([false, true, true]);
  });

  test('takes back to its place whatever comes back, however often', () => {
    expect(CLASSIC.wayBack(returned(1000), 'requeued', settings({ 'x-delivery-limit': 1 }))).toBe('place');
  });
});

describe('a quorum queue', () => {
  test('refuses above its limit, and once it did, down to four fifths of it', () => {
    const limits = settings({ 'x-max-length': 10 });
    const refuses = (count: number, refused: boolean) => QUORUM.refuses(1, { count, bytes: 0, refused }, limits);
    expect([10, 11].map((count) => refuses(count, false))).toEqual([false, true]);
    expect([8, 9].map((count) => refuses(count, true))).toEqual([false, true]);
  });

  test('lets a message come back as often as its limit says', () => {
    const limit = settings({ 'x-delivery-limit': 2 });
    const ways = [1, 2, 3].map((returns) => QUORUM.wayBack(returned(returns), 'abandoned', limit));
    expect(ways).toEqual(['front', 'front', 'dead']);
  });

  test('without a limit sends what is requeued to its end, and what is abandoned to its front', () => {
    const ways = (['requeued', 'abandoned'] as const).map((cause) => QUORUM.wayBack(returned(9), cause, settings({})));
    expect(ways).toEqual(['back', 'front']);
  });

  test('writes its count over one that the publisher sent, among headers in order', () => {
    const headers = table({
      z: { type: 'bool', value: true },
      'x-delivery-count': { type: 'bool', value: true },
      a: { type: 'bool', value: true },
    });
    const message = createMessage('', ['queue'], { headers }, Buffer.from('body'));
    const entry = { ...returned(3), message };
    const delivered = QUORUM.delivered(entry, 'consume');
    expect([...(delivered.properties.headers ?? [])].map(([name, { value }]) => [name, value])).toEqual([
      ['a', true],
      ['x-delivery-count', 3n],
      ['z', true],
    ]);
    expect(QUORUM.delivered({ ...entry, returns: 0 }, 'consume')).toBe(message);
  });
});
