import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeProperties, type Properties } from '../../../infra/local/broker/codec';
import { type Content, ContentReader } from '../../../infra/local/broker/content';
import { contentFrames, FRAME_METHOD, FrameReader } from '../../../infra/local/broker/framing';
import { Memory } from '../../../infra/local/broker/memory';

const ARGS = { ticket: 0, exchange: '', routingKey: 'queue', mandatory: false, immediate: false };
const MAX_FRAME_BYTES = 64;

interface Published {
  readonly properties: Properties;
  readonly body: Buffer;
}

/** What a reader makes of contents that come one after the other on a channel, as the broker would send them on. */
function readBack(published: readonly Published[]): Content[] {
  const frames = new FrameReader(1024);
  const content = new ContentReader(1_000_000, new Memory(Number.POSITIVE_INFINITY));
  const found: Content[] = [];
  const sent = published.map(({ properties, body }) =>
    contentFrames(1, Buffer.alloc(4), encodeProperties(properties), body, MAX_FRAME_BYTES),
  );
  frames.push(Buffer.concat(sent));
  for (let next = frames.next(); next !== undefined; next = frames.next()) {
    const complete = next.type === FRAME_METHOD ? content.start(ARGS) : content.take(next);
    if (complete !== undefined) found.push(complete);
  }
  return found;
}

test('each content has its own properties and body, however alike the one before it', () => {
  const properties = fc.constantFrom<Properties>({}, { deliveryMode: 1 }, { deliveryMode: 2 }, { messageId: 'a' });
  const body = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(fc.record({ properties, body })), (published) => {
      const found = readBack(published).map(({ properties: { decoded }, ...rest }) => ({
        properties: decoded,
        body: rest.body,
      }));
      expect(found).toEqual(published);
    }),
  );
});

test('a run of contents with the same properties shares them', () => {
  const alike = { properties: { deliveryMode: 2, contentType: 'text/plain' }, body: Buffer.from('x') };
  const [first, second, third] = readBack([
    alike,
    { ...alike, body: Buffer.from('longer') },
    { ...alike, properties: {} },
  ]);
  expect(second?.properties).toBe(first?.properties);
  expect(third?.properties).not.toBe(first?.properties);
});

test('a small body does not keep alive the bytes that came with it', () => {
  const [small] = readBack([
    { properties: {}, body: Buffer.from('x') },
    { properties: {}, body: Buffer.alloc(100_000) },
  ]);
  expect(small?.body.buffer.byteLength).toBeLessThanOrEqual(Buffer.poolSize);
});
