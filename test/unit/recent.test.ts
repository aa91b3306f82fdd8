import { describe, expect, test } from '@jest/globals';
import { recentDeliveries } from '../../lib/recent';

describe('the memory of recent deliveries', () => {
  test('knows a reply by its connection and messageId', () => {
    const recent = recentDeliveries();
    recent.add('a', 'm-1');
    expect(recent.has('a', 'm-1')).toBe(true);
    expect(recent.has('a', 'm-2')).toBe(false);
    expect(recent.has('b', 'm-1')).toBe(false);
  });

  test('never knows a reply without a messageId', () => {
    const recent = recentDeliveries();
    recent.add('a', undefined);
    expect(recent.has('a', undefined)).toBe(false);
  });

  test('forgets the oldest for a new one', () => {
    const recent = recentDeliveries(2);
    for (const messageId of ['m-1', 'm-2', 'm-2', 'm-3']) recent.add('a', messageId);
    expect(['m-1', 'm-2', 'm-3'].map((messageId) => recent.has('a', messageId))).toEqual([false, true, true]);
  });

  test('takes a text of either id for what it is, spaces included', () => {
    const recent = recentDeliveries();
    recent.add('a', 'b c');
    expect(recent.has('a', 'b c')).toBe(true);
    expect(recent.has('a', 'b')).toBe(false);
  });
});
