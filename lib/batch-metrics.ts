import { leaseSeconds } from './connections';
import type { Judgement, Trail, Verdict } from './judge';
import { sentAtOf } from './message-id';
import type { Measurements, MetricName } from './metrics';

/** What a batch of replies counts as: what was done. Where the batch comes back and it is done again, it counts again. */

export interface Outcome extends Judgement {
  trail: Trail;
}

const metricOfLetters = {
  throttled: 'RepliesThrottled',
  too_large: 'RepliesTooLarge',
  forbidden: 'RepliesForbidden',
  malformed: 'RepliesMalformed',
} as const satisfies Partial<Record<Verdict, MetricName>>;

/** The clocks of two functions differ by milliseconds; what is earlier than this was not sent by the gateway. */
const mostSkewMs = 1000;

/** @param letters those of the outcomes that lie in the dead-letter queue now. */
export function batchMetrics(outcomes: readonly Outcome[], letters: readonly Outcome[]): Measurements {
  const ofVerdict = (of: readonly Outcome[], wanted: string) => of.filter(({ verdict }) => verdict === wanted).length;
  const lettersByVerdict = Object.entries(metricOfLetters).map(([verdict, name]) => [
    name,
    ofVerdict(letters, verdict),
  ]);
  return {
    RepliesDelivered: outcomes.filter(({ deliveredAt }) => deliveredAt !== undefined).length,
    RepliesStored: ofVerdict(outcomes, 'stored'),
    RepliesGone: ofVerdict(outcomes, 'gone'),
    ...Object.fromEntries(lettersByVerdict),
    DeadLetters: letters.length,
    Duplicates: outcomes.filter(({ duplicate }) => duplicate).length,
    Retries: outcomes.reduce((sum, { attempts }) => sum + Math.max(0, attempts - 1), 0),
    EndToEnd: outcomes.flatMap(endToEndMs),
  };
}

/** Milliseconds, where it is known when the message was sent; longer than any connection lives is a service's mistake. */
function endToEndMs({ deliveredAt, trail: { inReplyTo } }: Outcome): number[] {
  const sentAt = inReplyTo === undefined ? undefined : sentAtOf(inReplyTo);
  if (deliveredAt === undefined || sentAt === undefined) return [];
  const tookMs = deliveredAt - sentAt;
  return tookMs >= -mostSkewMs && tookMs <= leaseSeconds * 1000 ? [Math.max(0, tookMs)] : [];
}
