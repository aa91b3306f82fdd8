import { describe, expect, test } from '@jest/globals';
import { batchMetrics, type Outcome } from '../../lib/batch-metrics';
import { leaseSeconds } from '../../lib/connections';
import { newMessageId } from '../../lib/message-id';

const sentAt = 1_700_000_000_000;

const outcome = (fields: Partial<Outcome>, inReplyTo?: string): Outcome => ({
  verdict: 'delivered',
  attempts: 1,
  trail: { messageId: undefined, inReplyTo, traceparent: undefined },
  ...fields,
});

const endToEnd = (deliveredAt: number, inReplyTo: string | undefined = newMessageId(sentAt)) =>
  batchMetrics([outcome({ deliveredAt }, inReplyTo)], []).EndToEnd;

describe('a batch of replies', () => {
  test('counts each by what became of it, and posts beyond the first of a reply', () => {
    const letters = (['throttled', 'throttled', 'too_large', 'forbidden', 'malformed'] as const).map((verdict) =>
      outcome({ verdict, attempts: 4 }),
    );
    const outcomes = [
      outcome({ deliveredAt: sentAt, attempts: 3 }),
      outcome({ deliveredAt: sentAt }),
      outcome({ attempts: 0, duplicate: true }),
      outcome({ attempts: 0 }),
      outcome({ verdict: 'gone' }),
      outcome({ verdict: 'stored', attempts: 0 }),
      outcome({ verdict: 'stored', attempts: 2 }),
      ...letters,
    ];
    expect(batchMetrics(outcomes, letters)).toEqual({
      RepliesDelivered: 2,
      RepliesStored: 2,
      RepliesGone: 1,
      RepliesThrottled: 2,
      RepliesTooLarge: 1,
      RepliesForbidden: 1,
      RepliesMalformed: 1,
      DeadLetters: 5,
      Duplicates: 1,
      Retries: 2 + 1 + 5 * 3,
      EndToEnd: [],
    });
  });

  test('counts no letter that could not be laid down', () => {
    const malformed = outcome({ verdict: 'malformed', attempts: 0 });
    expect(batchMetrics([malformed], [])).toMatchObject({ RepliesMalformed: 0, DeadLetters: 0 });
  });
});

describe('the time from send to delivery', () => {
  test('is what lies between the message and the delivery of its reply', () => {
    expect(endToEnd(sentAt + 250)).toEqual([250]);
  });

  test('is never negative, though clocks differ', () => {
    expect(endToEnd(sentAt - 20)).toEqual([0]);
  });

  test('is left out where it cannot be true, or is not known', () => {
    expect(endToEnd(sentAt - 60_000)).toEqual([]);
    expect(endToEnd(sentAt + leaseSeconds * 1000 + 1)).toEqual([]);
    expect(endToEnd(sentAt, '0b5a9c9e-6f0e-4c7d-9a53-2f8f6f1f3c11')).toEqual([]);
    expect(batchMetrics([outcome({ deliveredAt: sentAt })], []).EndToEnd).toEqual([]);
  });
});
