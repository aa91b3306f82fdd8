import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { recentDeliveries } from '../../lib/recent';

const reply = (connectionId: string, messageId?: string, frame = '{}', traceparent?: string) => ({
  connectionId,
  frame,
  trail: { messageId, traceparent },
});

afterEach(() => {
  jest.useRealTimers();
});

describe('the memory of recent deliveries', () => {
  test('knows a copy by its connection, messageId and content', () => {
    const recent = recentDeliveries();
    recent.delivered(reply('a', 'm-1'));
    expect(recent.isCopy(reply('a', 'm-1'))).toBe(true);
    expect(recent.isCopy(reply('a', 'm-2'))).toBe(false);
    expect(recent.isCopy(reply('b', 'm-1'))).toBe(false);
    expect(recent.isCopy(reply('a', 'm-1', '[]'))).toBe(false);
  });

  test('takes one in another trace for a copy, but not what differs in a traceparent of the service’s own', () => {
    const recent = recentDeliveries();
    const frame = (traceparent: string, data = '') =>
      reply('a', 'm-1', `{"event":"recv","traceparent":"${traceparent}","data":"${data}"}`, traceparent);
    recent.delivered(frame('t-1'));
    expect(recent.isCopy(frame('t-2'))).toBe(true);
    expect(recent.isCopy(reply('a', 'm-1', '{"event":"recv","data":""}', 't-3'))).toBe(true);
    expect(recent.isCopy(frame('t-1', '\\"traceparent\\":\\"t-1\\",'))).toBe(false);
  });

  test('never takes a reply without a messageId for a copy', () => {
    const recent = recentDeliveries();
    recent.delivered(reply('a'));
    expect(recent.isCopy(reply('a'))).toBe(false);
  });

  test('takes no reply in a session for a copy, and keeps none, for the session tells', () => {
    const recent = recentDeliveries(1);
    const inSession = { ...reply('a', 'm-1'), session: 's' };
    recent.delivered(reply('a', 'm-1'));
    recent.delivered(inSession);
    recent.delivered({ ...reply('a', 'm-2'), session: 's' });
    expect(recent.isCopy(inSession)).toBe(false);
    expect(recent.isCopy(reply('a', 'm-1'))).toBe(true);
  });

  test('forgets the oldest for a new one', () => {
    const recent = recentDeliveries(2);
    for (const messageId of ['m-1', 'm-2', 'm-2', 'm-3']) recent.delivered(reply('a', messageId));
    expect(['m-1', 'm-2', 'm-3'].map((messageId) => recent.isCopy(reply('a', messageId)))).toEqual([false, true, true]);
  });

  test('knows the latest and no others, however many came before', () => {
    const recent = recentDeliveries(3);
    const all = Array.from({ length: 100 }, (_, at) => `m-${at}`);
    for (const messageId of all) recent.delivered(reply('a', messageId));
    expect(all.filter((messageId) => recent.isCopy(reply('a', messageId)))).toEqual(['m-97', 'm-98', 'm-99']);
  });

  test('takes a messageId for what it is, spaces included', () => {
    const recent = recentDeliveries();
    recent.delivered(reply('a', 'b c'));
    expect(recent.isCopy(reply('a', 'b c'))).toBe(true);
    expect(recent.isCopy(reply('a', 'b'))).toBe(false);
  });

  test('knows who was given up, for a minute and no longer than until a reply is delivered', () => {
    jest.useFakeTimers({ now: 0 });
    const recent = recentDeliveries();
    recent.gaveUp('a');
    recent.gaveUp('b');
    expect(recent.isStuck('a')).toBe(true);
    expect(recent.isStuck('c')).toBe(false);
    recent.delivered({ ...reply('a'), session: 's' });
    expect(recent.isStuck('a')).toBe(false);
    jest.setSystemTime(60_000);
    expect(recent.isStuck('b')).toBe(false);
  });
});
