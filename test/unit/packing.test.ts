import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { maxBatchBytes, type Packable, pack } from '../../lib/packing';

const reply = (length: number, readsBatches = true): Packable => ({
  frame: JSON.stringify('x'.repeat(length)),
  readsBatches,
});

/** How many replies each frame has. */
const sizes = (items: readonly Packable[]) => pack(items).map(({ items }) => items.length);

describe('replies go in one frame', () => {
  test('as an array, in their order, each as it would go alone', () => {
    const items = ['{"seq":1}', '{"seq":2}', '{"seq":3}'].map((frame) => ({ frame, readsBatches: true }));
    expect(pack(items)).toEqual([{ frame: '[{"seq":1},{"seq":2},{"seq":3}]', items }]);
  });

  test('unless there is one alone, which is no array', () => {
    expect(pack([reply(3)])).toEqual([{ frame: '"xxx"', items: [reply(3)] }]);
    expect(pack([])).toEqual([]);
  });

  test('only beside others of which that is known, too', () => {
    const [one, none] = [reply(1), reply(1, false)];
    expect(sizes([one, one, none, one, none, none, one, one])).toEqual([2, 1, 1, 1, 1, 2]);
    expect(sizes([{ frame: '1' }, { frame: '2' }])).toEqual([1, 1]);
  });

  test('up to the last byte that API Gateway meters as one, and larger ones alone', () => {
    const room = maxBatchBytes - Buffer.byteLength(`[${reply(10).frame},""]`);
    expect(sizes([reply(10), reply(room)])).toEqual([2]);
    expect(sizes([reply(10), reply(room + 1)])).toEqual([1, 1]);
    expect(sizes([reply(10), reply(maxBatchBytes), reply(10), reply(10)])).toEqual([1, 1, 2]);
    const wide = { frame: JSON.stringify('ü'.repeat(maxBatchBytes / 3)), readsBatches: true };
    expect(sizes([wide, wide])).toEqual([1, 1]);
  });

  test('whatever they are: all of them, in order, and none too large', () => {
    const item = fc.record({
      frame: fc.oneof(fc.jsonValue(), fc.string({ minLength: 5000, maxLength: 20_000 })).map((v) => JSON.stringify(v)),
      readsBatches: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(item, { maxLength: 20 }), (all) => {
        const packed = pack(all);
        expect(packed.flatMap(({ items }) => items)).toEqual(all);
        for (const { frame, items } of packed) {
          const frames = items.length === 1 ? [JSON.parse(frame)] : JSON.parse(frame);
          expect(frames).toEqual(items.map((item) => JSON.parse(item.frame)));
          if (items.length === 1) continue;
          expect(items.every(({ readsBatches }) => readsBatches)).toBe(true);
          expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(maxBatchBytes);
        }
      }),
    );
  });
});
