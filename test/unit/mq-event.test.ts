import { describe, expect, test } from '@jest/globals';
import { deliveriesOf } from '../../lib/mq-event';

function eventOf(...messages: unknown[]): unknown {
  return { rmqMessagesByQueue: { 'ws_queue::/': messages } };
}

const text = (value: string) => ({ bytes: [...Buffer.from(value)].map((byte) => (byte << 24) >> 24) });

describe('an event of Amazon MQ', () => {
  test('becomes deliveries, with the bytes and properties that were published', () => {
    const data = Buffer.from([0, 255, 10]);
    const basicProperties = {
      contentType: 'application/json',
      messageId: 'm-1',
      correlationId: null,
      timestamp: 'Jan 1, 1970, 12:33:41 AM',
      expiration: 1000,
      headers: { 'x-first-seen': text('2026-01-01T00:00:00.000Z'), 'x-attempts': 3, nested: { list: [text('ü')] } },
    };
    expect(deliveriesOf(eventOf({ basicProperties, redelivered: true, data: data.toString('base64') }))).toEqual([
      {
        queue: 'ws_queue',
        body: data,
        redelivered: true,
        properties: {
          contentType: 'application/json',
          messageId: 'm-1',
          timestamp: 2021,
          expiration: '1000',
          headers: { 'x-first-seen': '2026-01-01T00:00:00.000Z', 'x-attempts': 3, nested: { list: ['ü'] } },
        },
      },
    ]);
  });

  test('keeps header names of the prototype to the table they are in', () => {
    const headers = JSON.parse('{"__proto__":{"polluted":true},"constructor":1}');
    const [delivery] = deliveriesOf(eventOf({ basicProperties: { headers }, data: '' }));
    expect(Object.keys(delivery?.properties.headers ?? {})).toEqual(['__proto__', 'constructor']);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('is not brought back by headers that are nested beyond the stack', () => {
    const headers = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`);
    const deliveries = deliveriesOf(
      eventOf({ basicProperties: { headers, messageId: 'm-1' }, data: '' }, { data: '' }),
    );
    expect(deliveries.map(({ properties }) => properties)).toEqual([{ messageId: 'm-1' }, {}]);
  });

  test.each([
    ['values that are no numbers', [{ valueOf: 1, toString: 1 }]],
    ['numbers that are no bytes', [300, -129, 1.5]],
    ['other values', [104, 'x', { a: 1 }]],
  ])('leaves a table of a service as it is where it looks like a text, with %s', (_, bytes) => {
    const [delivery] = deliveriesOf(eventOf({ basicProperties: { headers: { h: { bytes } } }, data: '' }));
    expect(delivery?.properties.headers).toEqual({ h: { bytes } });
  });

  test('throws for what is no such event', () => {
    expect(() => deliveriesOf({ Records: [] })).toThrow(TypeError);
  });
});
