import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { newMessageId, sentAtOf } from '../../lib/message-id';

const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });

describe('a messageId', () => {
  test('is a UUID of version 7 that tells when it was made', () => {
    fc.assert(
      fc.property(time, (now) => {
        const id = newMessageId(now);
        expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
        expect(sentAtOf(id)).toBe(now);
      }),
    );
  });

  test('sorts by its time', () => {
    fc.assert(
      fc.property(time, time, (one, other) => {
        fc.pre(one < other);
        expect(newMessageId(one) < newMessageId(other)).toBe(true);
      }),
    );
  });

  test('is another one each time, in the same millisecond too', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => newMessageId(0))).size).toBe(10_000);
  });

  test('is read as RFC 9562 has it in its example, in either case', () => {
    const sentAt = Date.parse('2022-02-22T14:22:22-05:00');
    expect(sentAtOf('017F22E2-79B0-7CC3-98C4-DC0C0C07398F')).toBe(sentAt);
    expect(sentAtOf('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')).toBe(sentAt);
  });

  test.each([
    ['of version 4', '0b5a9c9e-6f0e-4c7d-9a53-2f8f6f1f3c11'],
    ['of another variant', '017f22e2-79b0-7cc3-18c4-dc0c0c07398f'],
    ['that goes on', '017f22e2-79b0-7cc3-98c4-dc0c0c07398f:reply'],
    ['without hyphens', '017f22e279b07cc398c4dc0c0c07398f'],
    ['that is empty', ''],
  ])('%s has no time', (_, id) => expect(sentAtOf(id)).toBeUndefined());
});
