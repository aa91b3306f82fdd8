import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Properties } from '../../lib/amqp';
import { publishFrames } from '../../lib/publish-frames';
// @ts-expect-error: amqplib exports its parts to nobody
import api from '../../node_modules/amqplib/lib/api_args.js';
// @ts-expect-error
import defs from '../../node_modules/amqplib/lib/defs.js';
// @ts-expect-error
import { makeBodyFrame } from '../../node_modules/amqplib/lib/frame.js';

const maxFrameBytes = 4096;
const channel = 1;

/** As amqplib itself would write it. */
function byAmqplib(queue: string, body: Buffer, properties: Properties): Buffer {
  const fields = api.publish('', queue, { ...properties, mandatory: true });
  const step = maxFrameBytes - 8;
  const bodies = Array.from({ length: Math.ceil(body.length / step) }, (_, n) =>
    makeBodyFrame(channel, body.subarray(n * step, (n + 1) * step)),
  );
  return Buffer.concat([
    defs.encodeMethod(defs.BasicPublish, channel, fields),
    defs.encodeProperties(defs.BasicProperties, channel, body.length, fields),
    ...bodies,
  ]);
}

const frames = (queue: string, body: Buffer, properties: Properties) =>
  publishFrames(channel, { queue, body, properties }, maxFrameBytes);

const text = fc.string({ unit: 'grapheme', maxLength: 60 });
const octet = fc.nat({ max: 255 });
const field = fc.oneof(
  text,
  fc.integer(),
  fc.boolean(),
  fc.double({ noNaN: true, min: -1e9, max: 1e9 }),
  fc.constant(null),
);
const properties = fc.record(
  {
    contentType: text,
    contentEncoding: text,
    headers: fc.dictionary(
      fc.string({ maxLength: 20 }).filter((name) => name !== '__proto__'),
      fc.oneof(field, fc.array(field), fc.dictionary(fc.constantFrom('a', 'b'), field)),
      { noNullPrototype: true },
    ),
    deliveryMode: octet,
    priority: octet,
    correlationId: text,
    replyTo: text,
    expiration: text,
    messageId: text,
    timestamp: fc.nat(),
    type: text,
    userId: text,
    appId: text,
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Properties>;

describe('a message on the wire', () => {
  test('is what amqplib would write, byte for byte', () => {
    const body = fc.uint8Array({ maxLength: 3 * maxFrameBytes }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(text, body, properties, (queue, body, properties) => {
        expect(frames(queue, body, properties)).toEqual(byAmqplib(queue, body, properties));
      }),
    );
  });

  test.each([0, 1, maxFrameBytes - 9, maxFrameBytes - 8, maxFrameBytes - 7, 5 * (maxFrameBytes - 8)])(
    'has as many frames as a body of %d bytes needs',
    (bytes) => {
      const body = Buffer.alloc(bytes, 'x');
      expect(frames('queue', body, {})).toEqual(byAmqplib('queue', body, {}));
    },
  );

  test('is the same after one that was larger, or could not be written', () => {
    const small = frames('queue', Buffer.from('x'), { messageId: 'm' });
    frames('q'.repeat(255), Buffer.alloc(9000), { headers: { text: 'y'.repeat(60_000) } });
    expect(() => frames('queue', Buffer.from('x'), { type: 'é'.repeat(128) })).toThrow(TypeError);
    expect(frames('queue', Buffer.from('x'), { messageId: 'm' })).toEqual(small);
  });

  test('has texts of 255 bytes, whatever is beside them', () => {
    const longest = 'x'.repeat(255);
    const headers = { text: 'y'.repeat(65_000) };
    const all = { contentType: longest, correlationId: longest, messageId: longest, appId: longest, headers };
    expect(frames(longest, Buffer.from('x'), all)).toEqual(byAmqplib(longest, Buffer.from('x'), all));
  });

  test.each<[string, Properties]>([
    ['a text above 255 bytes', { messageId: 'é'.repeat(128) }],
    ['a text above 255 characters', { correlationId: 'x'.repeat(100_000) }],
    ['an octet above 255', { priority: 256 }],
    ['an octet below 0', { deliveryMode: -1 }],
    ['a time before 1970', { timestamp: -1 }],
    ['a time that is no whole number', { timestamp: 0.5 }],
    ['headers that fill a frame', { headers: { text: 'x'.repeat(70_000) } }],
    ['a name of a header that is too long', { headers: { ['x'.repeat(256)]: 1 } }],
    ['a header that has no type in AMQP', { headers: { text: (() => undefined) as unknown } }],
  ])('cannot have %s', (_, properties) => {
    expect(() => frames('queue', Buffer.from('x'), properties)).toThrow();
  });
});
