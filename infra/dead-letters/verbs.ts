import { reasonOf } from '../../lib/reason';
import { type DeadLetterQueue, Interrupted, type Letter, type Passed, pass, publishCopy } from './queue';

/**
 * What an operator does with dead letters: list, show, drop, replay. A letter that is replayed leaves the queue only once
 * the broker has confirmed it in the one where it goes; so it may be in both after a fault, under one messageId.
 */

/** Why there is no letter at the place that was asked for. */
export interface NoLetter {
  missing: string;
}

export interface Replayed {
  /** Published and confirmed. */
  replayed: number;
  /** Of those that were to be replayed. */
  remain: number;
  /** The one that was asked for, once it is replayed; none where all were. */
  letter?: Letter;
  /** Why some remain, and at which letter, if it was the letter's fault. */
  stopped?: { reason: string; at?: Letter };
  /** Of which there may be two now, for the connection was lost over it. */
  twice?: Letter;
}

/** Gives the first letters to `see`, each as it is read; resolves to the number of all. */
export async function list(queue: DeadLetterQueue, limit: number, see: (letter: Letter) => void): Promise<number> {
  const { total } = await pass(queue, limit, async (letter) => {
    see(letter);
    return 'stays';
  });
  return total;
}

export async function show(queue: DeadLetterQueue, n: number): Promise<Letter | NoLetter> {
  let shown: Letter | undefined;
  const passed = await pass(queue, n, async (letter) => {
    if (letter.n === n) shown = letter;
    return 'stays';
  });
  return shown ?? noLetter(queue, n, passed);
}

export async function drop(queue: DeadLetterQueue, n: number): Promise<Letter | NoLetter> {
  let dropped: Letter | undefined;
  const passed = await pass(queue, n, async (letter) => {
    if (letter.n !== n) return 'stays';
    dropped = letter;
    return 'leaves';
  });
  return dropped ?? noLetter(queue, n, passed);
}

/** What the gateway wrote on the letter for the operator; when it was first seen, and how often it was tried, it keeps. */
const verdictHeaders = ['x-verdict', 'x-reason', 'x-original-queue'];

/**
 * Publishes a letter, or all, to the queues that they came from; stops at the first that cannot be published. `all` are as
 * many as there are at the start: one that comes back is not replayed again.
 */
export async function replay(queue: DeadLetterQueue, which: number | 'all'): Promise<Replayed | NoLetter> {
  const done: Replayed = { replayed: 0, remain: 0 };
  const account = (total: number) => ({ ...done, remain: (which === 'all' ? total : 1) - done.replayed });
  try {
    const passed = await pass(queue, which === 'all' ? Number.POSITIVE_INFINITY : which, async (letter) => {
      if (which !== 'all' && letter.n !== which) return 'stays';
      try {
        await publishCopy(queue.publisher, letter, originalQueueOf(letter, queue), verdictHeaders);
      } catch (error) {
        done.stopped = { reason: reasonOf(error), at: letter };
        return 'stop';
      }
      done.replayed += 1;
      if (which !== 'all') done.letter = letter;
      return 'leaves';
    });
    if (which !== 'all' && passed.seen < which) return noLetter(queue, which, passed);
    if (which === 'all' && done.stopped === undefined && done.replayed < passed.total) {
      done.stopped = { reason: 'somebody else has taken the others meanwhile' };
    }
    return account(passed.total);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    const { message, total, inHand } = error;
    return { ...account(total), stopped: done.stopped ?? { reason: message }, ...(inHand && { twice: inHand }) };
  }
}

/** Where the gateway says that the letter lay; or RabbitMQ, of one that it dead-lettered itself. */
export function originalQueueOf({ properties }: Letter, { name, wsQueue }: DeadLetterQueue): string {
  const { 'x-original-queue': gateways, 'x-first-death-queue': brokers } = properties.headers ?? {};
  const told = [gateways, brokers].find((queue) => typeof queue === 'string' && queue !== '' && queue !== name);
  return (told as string | undefined) ?? wsQueue;
}

function noLetter({ name }: DeadLetterQueue, n: number, { total }: Passed): NoLetter {
  const missing =
    n > total ? `there is no letter ${n}: ${name} holds ${total}` : `somebody else has taken letter ${n} meanwhile`;
  return { missing };
}
