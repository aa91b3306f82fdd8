import { describe, expect, test } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import fc from 'fast-check';
import { mqEvent, mqRecord } from '../../../infra/local/event-source/event';
import { deliveriesOf } from '../../../lib/mq-event';

function message(content: string, properties: Record<string, unknown>, redelivered = false): ConsumeMessage {
  return {
    content: Buffer.from(content),
    fields: { deliveryTag: 1, redelivered, exchange: '', routingKey: 'q', consumerTag: 't' },
    properties,
  } as unknown as ConsumeMessage;
}

describe('the event of the mapping', () => {
  test('is what AWS documents: nulls, base64, English dates, signed header bytes', () => {
    const record = mqRecord(
      message('{"a":1}', {
        contentType: 'application/json',
        timestamp: 2021,
        expiration: '60000',
        headers: { text: 'caé', number: 5, yes: true, table: { inner: 'x' }, list: ['y', 1] },
      }),
    );
    expect(mqEvent('arn:aws:mq:x', 'ws_queue', '/', [record])).toEqual({
      eventSource: 'aws:rmq',
      eventSourceArn: 'arn:aws:mq:x',
      rmqMessagesByQueue: {
        'ws_queue::/': [
          {
            basicProperties: {
              contentType: 'application/json',
              contentEncoding: null,
              headers: {
                text: { bytes: [99, 97, -61, -87] },
                number: 5,
                yes: true,
                table: { inner: { bytes: [120] } },
                list: [{ bytes: [121] }, 1],
              },
              deliveryMode: null,
              priority: null,
              correlationId: null,
              replyTo: null,
              expiration: '60000',
              messageId: null,
              timestamp: 'Jan 1, 1970, 12:33:41 AM',
              type: null,
              userId: null,
              appId: null,
              clusterId: null,
              bodySize: 7,
            },
            redelivered: false,
            data: 'eyJhIjoxfQ==',
          },
        ],
      },
    });
  });

  test('can be made of any message', () => {
    const odd = fc.oneof(fc.anything({ maxDepth: 3 }), fc.record({ '!': fc.string(), value: fc.anything() }));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), odd), fc.double(), (headers, timestamp) => {
        mqRecord(message('', { headers, timestamp }));
      }),
    );
    expect(mqRecord(message('', { timestamp: 1.7e15 })).basicProperties.timestamp).toBeNull();
  });

  test('has null for absent headers', () => {
    expect(mqRecord(message('', {})).basicProperties.headers).toBeNull();
  });
});

describe('the consumer’s reading of the event', () => {
  const header: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.stringMatching(/^[a-z-]{2,9}$/).filter((key) => key !== 'bytes'),
        tie('value'),
        { maxKeys: 3 },
      ),
    ),
  })).value;

  test('gives back body, properties and headers as they were published', () => {
    const properties = fc.record(
      {
        contentType: fc.string(),
        correlationId: fc.string(),
        replyTo: fc.string(),
        messageId: fc.string(),
        deliveryMode: fc.constantFrom(1, 2),
        priority: fc.nat({ max: 255 }),
        expiration: fc.nat().map(String),
        timestamp: fc.nat({ max: 4_000_000_000 }),
        headers: fc.dictionary(fc.stringMatching(/^[a-z-]{1,9}$/), header, { maxKeys: 4 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), properties, fc.boolean(), (body, properties, redelivered) => {
        const event = mqEvent('arn', 'a', '/v::h', [mqRecord(message(body, properties, redelivered))]);
        const [delivery] = deliveriesOf(JSON.parse(JSON.stringify(event)));
        expect(delivery).toEqual({ queue: 'a', body: Buffer.from(body), properties, redelivered });
      }),
    );
  });

  test('keeps header bytes that are no text', () => {
    const event = {
      rmqMessagesByQueue: {
        'q::/': [{ basicProperties: { headers: { raw: { bytes: [-1, -2] } } }, data: '' }],
      },
    };
    expect(deliveriesOf(event)[0]?.properties.headers).toEqual({ raw: Buffer.from([0xff, 0xfe]) });
  });

  test('accepts a number as expiration, as in published samples', () => {
    const event = { rmqMessagesByQueue: { 'q::/': [{ basicProperties: { expiration: 60000 }, data: '' }] } };
    expect(deliveriesOf(event)[0]?.properties).toEqual({ expiration: '60000' });
  });

  test('refuses what is no such event', () => {
    expect(() => deliveriesOf({ Records: [] })).toThrow('not an event of Amazon MQ');
  });
});
