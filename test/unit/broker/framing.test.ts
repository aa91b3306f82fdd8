import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { contentFrames, FrameReader, frame } from '../../../infra/local/broker/framing';
import { SHARED_KINDS } from './values';

interface Copy {
  readonly type: number;
  readonly channel: number;
  readonly payload: Buffer;
}

describe('frames', () => {
  const anyFrame = fc.record({
    type: fc.constantFrom(1, 2, 3, 8),
    channel: SHARED_KINDS.short,
    payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });

  test('come out whole wherever the stream was cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 8 }), fc.array(fc.nat(2_400), { maxLength: 12 }), (sent, places) => {
        const stream = Buffer.concat(sent.map(({ type, channel, payload }) => frame(type, channel, payload)));
        const cuts = [...new Set([0, ...places.filter((at) => at < stream.length), stream.length])].sort(
          (a, b) => a - b,
        );
        const chunks = cuts.slice(1).map((end, index) => stream.subarray(cuts[index], end));
        expect(frames(chunks)).toEqual(sent);
      }),
    );
  });

  test('come out whole byte by byte', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 3 }), (sent) => {
        const stream = Buffer.concat(sent.map(({ type, channel, payload }) => frame(type, channel, payload)));
        expect(frames(Array.from(stream, (byte) => Buffer.from([byte])))).toEqual(sent);
      }),
      { numRuns: 30 },
    );
  });

  test('of content stay within the limit and add up to the body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.integer({ min: 100, max: 1_000 }), (body, limit) => {
        const sent = contentFrames(9, Buffer.alloc(20), Buffer.alloc(14), Buffer.from(body), limit);
        const [method, header, ...bodies] = frames([sent], limit);
        expect([method?.type, header?.type]).toEqual([1, 2]);
        expect(
          bodies.every(({ type, channel, payload }) => type === 3 && channel === 9 && payload.length + 8 <= limit),
        ).toBe(true);
        expect(Buffer.concat(bodies.map(({ payload }) => payload)).equals(Buffer.from(body))).toBe(true);
      }),
    );
  });

  test('without their end octet, or above the limit, are refused with 501', () => {
    const unended = frame(1, 1, Buffer.from('ab'));
    unended[unended.length - 1] = 0;
    expect(() => frames([unended])).toThrow(
      'FRAME_ERROR - type 1, all octets = <<"ab">>: {invalid_frame_end_marker,0}',
    );
    expect(() => frames([frame(3, 1, Buffer.alloc(4097))], 4096)).toThrow(
      'FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088}',
    );
  });
});

/** The frames in chunks of a stream; payloads copied, as a reader must that keeps them. */
function frames(chunks: Buffer[], maxFrameBytes = 131_072): Copy[] {
  const reader = new FrameReader(maxFrameBytes);
  const found: Copy[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      found.push({ type: next.type, channel: next.channel, payload: Buffer.from(next.payload) });
    }
  }
  return found;
}
