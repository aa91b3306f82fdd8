import { brokerAt } from '../../lib/credentials';
import { before } from '../../lib/deadline';
import { reasonOf } from '../../lib/reason';
import { printable, textOrBase64 } from '../dead-letters/printable';
import { type DeadLetterQueue, glimpse, type Letter, openDeadLetterQueue } from '../dead-letters/queue';
import { type Summary, summaryOf } from '../dead-letters/report';

/**
 * What the page shows of the broker: how many messages wait in each queue, and the first dead letters. The broker is
 * asked only when somebody asks here, at most once a second, and nothing in it changes by that.
 */

export type Status = { queues: QueueStatus[]; deadLetters: DeadLettersStatus } | { error: string };

export interface QueueStatus {
  name: string;
  /** Without those that a consumer has in hand; null where there is no such queue. */
  waiting: number | null;
  consumers: number;
}

export interface DeadLettersStatus {
  queue: string;
  /** The first of them; null where a look would count as a delivery. */
  letters: ShownLetter[] | null;
}

/** The beginning of its body as printable text, or base64. */
export type ShownLetter = Summary & { excerpt: string };

const everyMs = 1000;
/** After that nobody looks any more. */
const unwatchedMs = 10_000;
const patienceMs = 3000;
const shownLetters = 20;
const excerptLength = 200;
/** Letters are read again when their number has changed, and after this: while they are read, nobody else can take them. */
const lettersEveryMs = 10_000;

export interface BrokerStatus {
  read(): Promise<Status>;
  close(): Promise<void>;
}

/** @param queues names, in the order of `topology`. */
export function brokerStatus(url: string, queues: readonly string[]): BrokerStatus {
  const [, wsQueue = ''] = queues;
  let opening: Promise<DeadLetterQueue> | undefined;
  let closing: NodeJS.Timeout | undefined;
  let reading = false;
  let last: Promise<Status> | undefined;
  let lastAt = 0;
  let known: { letters: ShownLetter[] | null; of: number | null; at: number } | undefined;

  const close = async () => {
    clearTimeout(closing);
    const opened = opening;
    [opening, known] = [undefined, undefined];
    await opened?.then((queue) => queue.close()).catch(() => undefined);
  };

  const ask = async (): Promise<Status> => {
    opening ??= openDeadLetterQueue(brokerAt(url), wsQueue);
    const dead = await opening;
    const counts = await Promise.all(queues.map((name) => counted(dead, name)));
    const of = counts.at(-1)?.waiting ?? null;
    if (known?.of !== of || Date.now() - known.at > lettersEveryMs) {
      const letters = of ? await glimpse(dead, shownLetters) : [];
      known = { letters: letters?.map((letter) => shown(letter, dead)) ?? null, of, at: Date.now() };
    }
    return { queues: counts, deadLetters: { queue: dead.name, letters: known.letters } };
  };

  const askInTime = async (): Promise<Status> => {
    try {
      // In amqplib a call may wait for ever, if the connection ends at the wrong moment.
      const status = await before(Date.now() + patienceMs, ask());
      if (status === undefined) throw new Error('it does not answer');
      return status;
    } catch (error) {
      close();
      return { error: reasonOf(error) };
    }
  };

  return {
    async read() {
      clearTimeout(closing);
      closing = setTimeout(close, unwatchedMs).unref();
      if (last === undefined || (!reading && Date.now() - lastAt >= everyMs)) {
        [reading, lastAt] = [true, Date.now()];
        last = askInTime().finally(() => {
          reading = false;
        });
      }
      return last;
    },
    close,
  };
}

async function counted({ connection }: DeadLetterQueue, name: string): Promise<QueueStatus> {
  // A queue that does not exist closes the channel that asks for it.
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  try {
    const { messageCount, consumerCount } = await channel.checkQueue(name);
    await channel.close();
    return { name, waiting: messageCount, consumers: consumerCount };
  } catch (error) {
    if ((error as { code?: number }).code !== 404) throw error;
    return { name, waiting: null, consumers: 0 };
  }
}

function shown(letter: Letter, queue: DeadLetterQueue): ShownLetter {
  const excerpt = printable(textOrBase64(letter.body).body.slice(0, excerptLength));
  return { ...summaryOf(letter, queue), excerpt };
}
