import type { Delivery } from './amqp';
import { batchMetrics, type Outcome } from './batch-metrics';
import type { Close } from './close';
import type { Connections } from './connections';
import type { DeadLetters } from './dead-letters';
import { before } from './deadline';
import { type AddressedFrame, judge, type Verdict } from './judge';
import type { Log } from './log';
import type { Metrics } from './metrics';
import type { Post } from './post';
import type { Recent } from './recent';
import { type RoundLimits, takeToConnections } from './rounds';
import { detach, letGo, tellEnd } from './session/partings';
import type { Sessions } from './session/sessions';
import { slots } from './slots';

/**
 * Takes a batch of replies to their clients and says of each what became of it, in its return value, in the log and in the
 * metrics. What cannot be delivered is dead-lettered with its reason, except what was for a client that has left: that is
 * counted, or kept by its session. Rejects only when a dead letter could not be laid down, or a reply to a session not be
 * stored: then the whole batch must come back.
 */

export interface DeliveryPorts {
  post: Post;
  close: Close;
  connections: Pick<Connections, 'remove'>;
  sessions: Pick<Sessions, 'append' | 'detach'>;
  deadLetters: DeadLetters;
  /** Outlives the batch: copies come in later ones. */
  recent: Recent;
  log: Log;
  metrics: Metrics;
}

export interface DeliveryLimits extends RoundLimits {
  /** Time kept back for the dead letters, and for closing connections, milliseconds; at most a third of all. */
  deadLetterMs: number;
}

export const defaultLimits: DeliveryLimits = {
  concurrency: 50,
  attemptMs: 2000,
  pauseMs: 100,
  longestPauseMs: 1000,
  deadLetterMs: 5000,
  storeMs: 1000,
  latePostMs: 5000,
};

/** Dead letters on their way at once: what is encoded for the broker is held in memory a second time. */
const lettersAtOnce = 50;
/** How long a batch waits for the tables to take note of connections that have ended: it needs that for nothing. */
const removalMs = 500;

/** What is no dead letter. */
const accounted: ReadonlySet<Verdict> = new Set(['delivered', 'stored', 'gone']);

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
    removals.push(removeRow(frame, postedAt, deadline, ports));
  };

  const judged = deliveries.map((delivery) => ({ delivery, found: judge(delivery) }));
  const replies = judged.map(({ found }) => found);
  const taken = await takeToConnections(replies, postDeadline, { ...ports, onGone }, limits);
  const { judgements, unstored, ended, left, missed } = taken;
  const outcomes = judged.flatMap(({ delivery, found }) => {
    const judgement = judgements.get(found);
    return judgement === undefined ? [] : [{ ...judgement, trail: found.trail, delivery }];
  });
  removals.push(...left.map((held) => detach(held, deadline, ports)));

  // A batch that comes back would lay its letters down each time.
  const letters = unstored.size > 0 ? [] : outcomes.filter(({ verdict }) => !accounted.has(verdict));
  const [failures] = await Promise.all([
    layDown(letters, seenAt, deadline, ports),
    ...ended.map((end) => tellEnd(end, deadline, ports)),
    ...missed.map(({ reason, ...held }) => letGo(held, reason, deadline, ports)),
  ]);
  const laidDown = letters.filter((letter) => !failures.has(letter));
  ports.metrics.write({ ...batchMetrics(outcomes, laidDown), SessionsEnded: ended.length });
  if (unstored.size > 0)
    throw comesBack(`Could not store the replies to ${unstored.size} sessions`, unstored, ports.log);
  if (failures.size > 0) throw comesBack(`Could not lay down ${failures.size} dead letters`, failures, ports.log);
  await before(Math.min(Date.now() + removalMs, deadline), Promise.all(removals));

  const verdicts = outcomes.map(({ verdict }) => verdict);
  const duplicates = outcomes.filter(({ duplicate }) => duplicate).length;
  ports.log.info('Handled a batch of replies', { count: verdicts.length, verdicts: tally(verdicts), duplicates });
  return verdicts;
}

function comesBack(what: string, failures: ReadonlyMap<unknown, unknown>, log: Log): Error {
  const [cause] = failures.values();
  // Lambda itself prints no cause.
  log.error(`${what}; the batch comes back`, { count: failures.size, error: cause });
  return new Error(`${what}; the batch comes back.`, { cause });
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

/**
 * If that fails, or takes too long, the row's lease ends by itself. It may tell of a session that its connection was in,
 * and which `$disconnect` cannot find any more.
 */
async function removeRow(
  { connectionId, session, trail }: AddressedFrame,
  postedAt: number,
  deadline: number,
  ports: DeliveryPorts,
): Promise<void> {
  try {
    const row = await ports.connections.remove(connectionId, postedAt);
    if (session === undefined && row.session !== undefined) {
      await detach({ session: row.session, connectionId }, deadline, ports);
    }
  } catch (error) {
    ports.log.warn('Could not remove the row of a connection that has ended', { connectionId, ...trail, error });
  }
}

function tally(verdicts: readonly Verdict[]): Partial<Record<Verdict, number>> {
  const counts: Partial<Record<Verdict, number>> = {};
  for (const verdict of verdicts) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}
