import { setTimeout as sleep } from 'node:timers/promises';
import type { Books } from './books';

/** A load of clients on the function `send`: the test plays API Gateway, which invokes it for each frame of a client. */

export interface LoadOptions {
  /** Infinity goes on until `end`. */
  messages?: number;
  perSecond?: number;
  connections?: number;
  /** Characters of each message. */
  length?: (n: number) => number;
}

export interface Load {
  /** Resolves once the books have so many answers, acks or errors; rejects when that takes too long. */
  answered(count: number): Promise<void>;
  acked(count: number): Promise<void>;
  refused(count: number): Promise<void>;
  /** Sends no more. */
  end(): void;
  /** Resolves once all that was sent is answered. */
  done: Promise<void>;
}

export interface LoadTarget {
  books: Books;
  /** Processes that take turns. */
  senders: readonly { invoke(event: unknown): Promise<unknown> }[];
  /** Told of each answer. */
  tell(): void;
  until(holds: () => boolean): Promise<void>;
}

const tickMs = 20;

/** As many messages as are due by the clock, whether those before them were answered or not. */
export function startLoad(
  { messages = 500, perSecond = 250, connections = 20, length = () => 0 }: LoadOptions,
  target: LoadTarget,
): Load {
  const { books, until } = target;
  let ended = false;
  const run = async () => {
    const answers: Promise<void>[] = [];
    const startedAt = Date.now();
    while (!ended && answers.length < messages) {
      const due = Math.min(messages, Math.ceil(((Date.now() - startedAt + tickMs) * perSecond) / 1000));
      for (let n = answers.length; n < due; n += 1) {
        answers.push(sendOne(n, `client-${n % connections}`, length(n), target));
      }
      await sleep(tickMs);
    }
    await Promise.all(answers);
  };
  return {
    answered: (count) => until(() => books.answers >= count),
    acked: (count) => until(() => books.acked.size >= count),
    refused: (count) => until(() => books.answers - books.acked.size >= count),
    end() {
      ended = true;
    },
    done: run(),
  };
}

async function sendOne(n: number, connectionId: string, length: number, { books, senders, tell }: LoadTarget) {
  const data = { prompt: `${n} `.padEnd(length, 'x') };
  const event = {
    requestContext: { connectionId, eventType: 'MESSAGE', connectedAt: Date.now() },
    body: JSON.stringify({ action: 'send', id: String(n), data }),
  };
  books.messages += 1;
  try {
    const response = await (senders[n % senders.length] as LoadTarget['senders'][number]).invoke(event);
    const answer = JSON.parse((response as { body: string }).body);
    if (answer.event === 'ack') books.ack(answer.messageId, connectionId);
    else books.refuse(answer.code);
  } catch {
    // API Gateway tells the client "Internal server error".
    books.refuse('none');
  }
  tell();
}
