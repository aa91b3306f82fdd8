import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fullJitterMs } from '../../lib/backoff';

describe('full jitter', () => {
  const times = fc.integer({ min: 0, max: 100_000 });

  test('is a whole number from nothing up to a limit that doubles, and ends', () => {
    fc.assert(
      fc.property(fc.nat(2000), times, times, (attempt, pauseMs, longestPauseMs) => {
        const pause = fullJitterMs(attempt, { pauseMs, longestPauseMs });
        expect(Number.isInteger(pause)).toBe(true);
        expect(pause).toBeGreaterThanOrEqual(0);
        expect(pause).toBeLessThanOrEqual(longestPauseMs);
        expect(pause / 2 ** Math.min(attempt, 1000)).toBeLessThanOrEqual(pauseMs);
      }),
    );
  });

  test('reaches both ends', () => {
    const pauses = new Set(Array.from({ length: 500 }, () => fullJitterMs(1, { pauseMs: 2, longestPauseMs: 100 })));
    expect([...pauses].sort()).toEqual([0, 1, 2, 3, 4]);
  });
});
