import type { Delivery } from './amqp';
import type { Connections } from './connections';
import type { DeadLetters } from './dead-letters';
import { before } from './deadline';
import { type Judgement, judge, type Verdict } from './judge';
import type { Log } from './log';
import type { Post } from './post';
import { type PostLimits, postAll } from './posting';
import type { Recent } from './recent';
import { slots } from './slots';

/**
 * Takes a batch of replies to their clients and says of each what became of it, in its return value and in the log. What
 * cannot be delivered is dead-lettered with its reason, except what was for a client that has left: that is counted.
 * Rejects only when a dead letter could not be laid down: then the whole batch must come back.
 */

export interface DeliveryPorts {
  post: Post;
  connections: Connections;
  deadLetters: DeadLetters;
  /** Outlives the batch: copies come in later ones. */
  recent: Recent;
  log: Log;
}

export interface DeliveryLimits extends PostLimits {
  /** Time kept back from posting for the dead letters, milliseconds; at most a third of all. */
  deadLetterMs: number;
}

export const defaultLimits: DeliveryLimits = {
  concurrency: 50,
  attemptMs: 2000,
  pauseMs: 100,
  longestPauseMs: 1000,
  deadLetterMs: 5000,
};

/** Dead letters on their way at once: what is encoded for the broker is held in memory a second time. */
const lettersAtOnce = 50;
/** How long a batch waits for the table, which it needs for nothing. */
const removalMs = 500;

/** @param deadline when all must be over, milliseconds since 1970. */
export async function deliver(
  deliveries: readonly Delivery[],
  deadline: number,
  ports: DeliveryPorts,
  limits: DeliveryLimits = defaultLimits,
): Promise<Verdict[]> {
  const seenAt = Date.now();
  const postDeadline = Math.floor(deadline - Math.min(limits.deadLetterMs, (deadline - seenAt) / 3));
  const removals: Promise<void>[] = [];
  const onGone = (connectionId: string, postedAt: number) => {
    removals.push(removeRow(connectionId, postedAt, ports));
  };

  const judged = deliveries.map(judge);
  const frames = judged.flatMap((found) => ('frame' in found ? [found] : []));
  const posted = await postAll(frames, postDeadline, { ...ports, onGone }, limits);
  const judgements = judged.map((found) => ('frame' in found ? (posted.get(found) as Judgement) : found));

  await layDown(deliveries, judgements, seenAt, deadline, ports);
  await before(Math.min(Date.now() + removalMs, deadline), Promise.all(removals));

  const verdicts = judgements.map(({ verdict }) => verdict);
  const duplicates = judgements.filter(({ duplicate }) => duplicate).length;
  ports.log.info('Handled a batch of replies', { count: verdicts.length, verdicts: tally(verdicts), duplicates });
  return verdicts;
}

/** Ends when all are laid down or have failed: nothing is left under way when the function is frozen. */
async function layDown(
  deliveries: readonly Delivery[],
  judgements: readonly Judgement[],
  seenAt: number,
  deadline: number,
  { deadLetters, log }: DeliveryPorts,
): Promise<void> {
  const inSlot = slots(lettersAtOnce);
  const failures: unknown[] = [];
  const layDownOne = async (delivery: Delivery, { verdict, reason = '', attempts }: Judgement) => {
    try {
      await deadLetters.add({ delivery, verdict, reason, attempts, seenAt }, deadline);
    } catch (error) {
      failures.push(error);
      return;
    }
    const { messageId } = delivery.properties;
    log.warn('Dead-lettered a reply', { verdict, reason, ...(messageId === undefined ? {} : { messageId }) });
  };
  await Promise.all(
    deliveries.map((delivery, index) => {
      const judgement = judgements[index] as Judgement;
      const isLetter = judgement.verdict !== 'delivered' && judgement.verdict !== 'gone';
      return isLetter ? inSlot('first', () => layDownOne(delivery, judgement)) : undefined;
    }),
  );
  if (failures.length > 0) {
    throw new Error(`Could not lay down ${failures.length} dead letters; the batch comes back.`, {
      cause: failures[0],
    });
  }
}

/** If that fails, or takes too long, the row's lease ends by itself. */
async function removeRow(connectionId: string, postedAt: number, { connections, log }: DeliveryPorts): Promise<void> {
  try {
    await connections.remove(connectionId, postedAt);
  } catch (error) {
    log.warn('Could not remove the row of a connection that has ended', { connectionId, error });
  }
}

function tally(verdicts: readonly Verdict[]): Partial<Record<Verdict, number>> {
  const counts: Partial<Record<Verdict, number>> = {};
  for (const verdict of verdicts) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}
