import type { Delivery } from './amqp';
import { batchMetrics, type Outcome } from './batch-metrics';
import type { Connections } from './connections';
import type { DeadLetters } from './dead-letters';
import { before } from './deadline';
import { type AddressedFrame, type Judgement, judge, type Verdict } from './judge';
import type { Log } from './log';
import type { Metrics } from './metrics';
import type { Post } from './post';
import { type PostLimits, postAll } from './posting';
import type { Recent } from './recent';
import { slots } from './slots';

/**
 * Takes a batch of replies to their clients and says of each what became of it, in its return value, in the log and in the
 * metrics. What cannot be delivered is dead-lettered with its reason, except what was for a client that has left: that is
 * counted. Rejects only when a dead letter could not be laid down: then the whole batch must come back.
 */

export interface DeliveryPorts {
  post: Post;
  connections: Connections;
  deadLetters: DeadLetters;
  /** Outlives the batch: copies come in later ones. */
  recent: Recent;
  log: Log;
  metrics: Metrics;
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

/** A reply that is to be dead-lettered. */
interface Letter extends Outcome {
  delivery: Delivery;
}

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
  const onGone = (frame: AddressedFrame, postedAt: number) => {
    removals.push(removeRow(frame, postedAt, ports));
  };

  const judged = deliveries.map((delivery) => ({ delivery, found: judge(delivery) }));
  const frames = judged.flatMap(({ found }) => ('frame' in found ? [found] : []));
  const posted = await postAll(frames, postDeadline, { ...ports, onGone }, limits);
  const outcomes = judged.map(({ delivery, found }) => {
    const judgement = 'frame' in found ? (posted.get(found) as Judgement) : found;
    return { ...judgement, trail: found.trail, delivery };
  });

  const letters = outcomes.filter(({ verdict }) => verdict !== 'delivered' && verdict !== 'gone');
  const failures = await layDown(letters, seenAt, deadline, ports);
  const laidDown = letters.filter((letter) => !failures.has(letter));
  ports.metrics.write(batchMetrics(outcomes, laidDown));
  if (failures.size > 0) {
    const [cause] = failures.values();
    throw new Error(`Could not lay down ${failures.size} dead letters; the batch comes back.`, { cause });
  }
  await before(Math.min(Date.now() + removalMs, deadline), Promise.all(removals));

  const verdicts = outcomes.map(({ verdict }) => verdict);
  const duplicates = outcomes.filter(({ duplicate }) => duplicate).length;
  ports.log.info('Handled a batch of replies', { count: verdicts.length, verdicts: tally(verdicts), duplicates });
  return verdicts;
}

/**
 * Why they could not be laid down, for those that could not. Ends when all are laid down or have failed: nothing is left
 * under way when the function is frozen.
 */
async function layDown(
  letters: readonly Letter[],
  seenAt: number,
  deadline: number,
  { deadLetters, log }: DeliveryPorts,
): Promise<Map<Outcome, unknown>> {
  const inSlot = slots(lettersAtOnce);
  const failures = new Map<Outcome, unknown>();
  const layDownOne = async (letter: Letter) => {
    const { delivery, verdict, reason = '', attempts, trail } = letter;
    try {
      await deadLetters.add({ delivery, verdict, reason, attempts, seenAt }, deadline);
    } catch (error) {
      failures.set(letter, error);
      return;
    }
    log.warn('Dead-lettered a reply', { verdict, reason, ...trail });
  };
  await Promise.all(letters.map((letter) => inSlot('first', () => layDownOne(letter))));
  return failures;
}

/** If that fails, or takes too long, the row's lease ends by itself. */
async function removeRow(
  { connectionId, trail }: AddressedFrame,
  postedAt: number,
  { connections, log }: DeliveryPorts,
): Promise<void> {
  try {
    await connections.remove(connectionId, postedAt);
  } catch (error) {
    log.warn('Could not remove the row of a connection that has ended', { connectionId, ...trail, error });
  }
}

function tally(verdicts: readonly Verdict[]): Partial<Record<Verdict, number>> {
  const counts: Partial<Record<Verdict, number>> = {};
  for (const verdict of verdicts) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}
