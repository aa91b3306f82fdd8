import { describe, expect, test } from '@jest/globals';
import type { OutgoingMessage, Properties } from '../../lib/amqp';
import { amqpDeadLetters, type DeadLetter } from '../../lib/dead-letters';
import { type ErrorCode, GatewayError } from '../../lib/errors';

const seenAt = Date.parse('2026-01-02T03:04:05.678Z');
const body = Buffer.from([0xff, 0x00, 0x7b]);

function letter(properties: Properties, of: Partial<DeadLetter> = {}): DeadLetter {
  const delivery = { queue: 'ws_queue', body, properties, redelivered: false };
  return { delivery, verdict: 'throttled', reason: 'not taken', attempts: 4, seenAt, ...of };
}

/** Lays one down, by a publisher that refuses what `refuse` names; the letters are in the order of the tries. */
async function lay(dead: DeadLetter, refuse: (message: OutgoingMessage) => ErrorCode | undefined = () => undefined) {
  const tried: OutgoingMessage[] = [];
  const publisher = {
    async publish(message: OutgoingMessage) {
      tried.push(message);
      const code = refuse(message);
      if (code !== undefined) throw new GatewayError(code, 'refused');
    },
    prepare: () => undefined,
    close: async () => undefined,
  };
  const result = await amqpDeadLetters(publisher, 'ws_queue')
    .add(dead, Date.now() + 1000)
    .catch((error: unknown) => error);
  return { tried, result, last: tried.at(-1) as OutgoingMessage };
}

const account = {
  'x-verdict': 'throttled',
  'x-reason': 'not taken',
  'x-first-seen': '2026-01-02T03:04:05.678Z',
  'x-attempts': 4,
  'x-original-queue': 'ws_queue',
};

describe('a dead letter', () => {
  test('has the body and the properties of the reply, and its account', async () => {
    const properties: Properties = {
      contentType: 'application/json',
      contentEncoding: 'gzip',
      correlationId: 'c',
      replyTo: 'r',
      messageId: 'm-1',
      timestamp: 1,
      type: 't',
      appId: 'app',
      priority: 3,
    };
    const { last } = await lay(letter({ ...properties, deliveryMode: 1, headers: { tenant: 'blue' } }));
    expect(last).toEqual({
      queue: 'ws_queue.dead',
      body,
      properties: { ...properties, deliveryMode: 2, headers: { tenant: 'blue', ...account } },
    });
  });

  test('has no messageId where the reply had none', async () => {
    const { last } = await lay(letter({}));
    expect(last.properties).toEqual({ deliveryMode: 2, headers: account });
  });

  test('is without what would lose it', async () => {
    const headers = { CC: ['ws_queue'], BCC: ['other'], tenant: 'blue' };
    const { last } = await lay(letter({ userId: 'app', expiration: '1000', headers }));
    expect(last.properties).toEqual({ deliveryMode: 2, headers: { tenant: 'blue', ...account } });
  });

  test('that was replayed goes on counting, and tells when the reply was seen first', async () => {
    const headers = { 'x-first-seen': '2025-12-31T23:59:59.000Z', 'x-attempts': 12, 'x-verdict': 'old' };
    const { last } = await lay(letter({ headers }));
    expect(last.properties.headers).toEqual({
      ...account,
      'x-first-seen': '2025-12-31T23:59:59.000Z',
      'x-attempts': 16,
    });
  });

  test.each([
    ['yesterday', 'many'],
    ['2026-13-01T00:00:00.000Z', -1],
    ['2026-01-01', 1.5],
    [1, 2 ** 31],
    [{}, Number.NaN],
    [Buffer.from('x'), null],
  ])('takes no history from headers such as %p and %p', async (firstSeen, attempts) => {
    const { last } = await lay(letter({ headers: { 'x-first-seen': firstSeen, 'x-attempts': attempts } }));
    expect(last.properties.headers).toEqual(account);
  });

  test.each(['invalid_message', 'too_large'] as const)(
    'whose headers the broker cannot take (%s) keeps its body and the other properties',
    async (code) => {
      const { last, result } = await lay(letter({ messageId: 'm-1', headers: { filler: 'x' } }), ({ properties }) =>
        properties.headers?.filler === undefined ? undefined : code,
      );
      expect(result).toBeUndefined();
      expect(last).toEqual({
        queue: 'ws_queue.dead',
        body,
        properties: { messageId: 'm-1', deliveryMode: 2, headers: account },
      });
    },
  );

  test('of which the broker takes no property of the service keeps its body', async () => {
    const { last } = await lay(letter({ messageId: 'm-1' }), ({ properties }) =>
      properties.messageId === undefined ? undefined : 'invalid_message',
    );
    expect(last).toEqual({ queue: 'ws_queue.dead', body, properties: { deliveryMode: 2, headers: account } });
  });

  test('whose body the broker does not take any more is laid down without it, and says so', async () => {
    const { last, result } = await lay(letter({ messageId: 'm-1' }), (message) =>
      message.body.length > 0 ? 'too_large' : undefined,
    );
    expect(result).toBeUndefined();
    expect(last.body).toHaveLength(0);
    expect(last.properties.headers).toEqual({
      ...account,
      'x-reason': 'not taken; the broker does not take the body of 3 bytes any more',
    });
  });

  test.each(['unavailable', 'unroutable'] as const)(
    'is tried once where the broker is %s, and rejects',
    async (code) => {
      const { tried, result } = await lay(letter({}), () => code);
      expect(tried).toHaveLength(1);
      expect(result).toMatchObject({ code });
    },
  );

  test('that the broker takes in no form rejects', async () => {
    const { result } = await lay(letter({}), () => 'invalid_message');
    expect(result).toMatchObject({ code: 'invalid_message' });
  });
});
