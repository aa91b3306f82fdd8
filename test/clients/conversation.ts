import { EventEmitter, on } from 'node:events';

/**
 * The conversation that every client holds with a broker, and what it must have seen. A client is logged in with a
 * wrong password first; then, with a heartbeat of `heartbeatSeconds`, it
 *
 * 1. declares a direct, transient `exchange` and a durable `queue`, and binds them by `routingKey`;
 * 2. publishes, mandatory and waiting for each confirm, `message`, and then 'lost' by a key that is bound to nothing;
 * 3. consumes the queue, requeues its first delivery and acknowledges what comes again;
 * 4. checks passively for `missingQueue`, and declares `queue` as transient, each on a channel of its own;
 * 5. checks passively for `queue`: the connection has survived;
 * 6. stays until 'goodbye' is delivered, acknowledges it, deletes queue and exchange, and closes.
 */

/** More than any conversation takes, and less than its test waits. */
export const CONVERSATION_MS = 60_000;

export type Conversation = (setting: Setting) => Promise<Transcript>;

export interface Setting {
  url: string;
  wrongPasswordUrl: string;
  heartbeatSeconds: number;
  exchange: string;
  queue: string;
  missingQueue: string;
  routingKey: string;
  message: Message;
}

export interface Message {
  body: string;
  contentType: string;
  messageId: string;
  headers: Record<string, unknown>;
}

/** What a client has seen; refusals in the broker's words. */
export interface Transcript {
  wrongPassword: string;
  declared: { messageCount: number; consumerCount: number };
  returned: { replyCode: number; replyText: string; exchange: string; routingKey: string; body: string };
  deliveries: (Message & { exchange: string; routingKey: string; redelivered: boolean })[];
  missingQueue: string;
  otherArguments: string;
  stillThere: { messageCount: number; consumerCount: number };
  last: string;
  /** Messages that the queue held when it was deleted. */
  deleted: number;
}

/** All but the words for a wrong password, which some clients put into their own. */
export function expectedTranscript(setting: Setting): Omit<Transcript, 'wrongPassword'> {
  const { exchange, queue, missingQueue, routingKey, message } = setting;
  const delivery = { ...message, exchange, routingKey };
  return {
    declared: { messageCount: 0, consumerCount: 0 },
    returned: { replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey: 'nowhere', body: 'lost' },
    deliveries: [
      { ...delivery, redelivered: false },
      { ...delivery, redelivered: true },
    ],
    missingQueue: noQueue(missingQueue),
    otherArguments: notTransient(queue),
    stillThere: { messageCount: 0, consumerCount: 1 },
    last: 'goodbye',
    deleted: 0,
  };
}

export const WRONG_PASSWORD =
  'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.';

export const noQueue = (queue: string) => `NOT_FOUND - no queue '${queue}' in vhost '/'`;

export const notTransient = (queue: string) =>
  `PRECONDITION_FAILED - inequivalent arg 'durable' for queue '${queue}' in vhost '/': received 'false' but current is 'true'`;

/** Of all that a client tells of a queue. */
export const counts = ({ messageCount, consumerCount }: { messageCount: number; consumerCount: number }) => ({
  messageCount,
  consumerCount,
});

/** The broker's words in what a client makes of them. */
export async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => new Error('nothing was refused'),
    (reason: Error) => reason,
  );
  return /[A-Z]+_[A-Z]+ - .*?(?="?$| \(\d+\)$)/.exec(error.message)?.[0] ?? error.message;
}

/** What comes by a callback, to be awaited one by one, but not for ever. */
export function inbox<Delivery>(): { put(delivery: Delivery): void; next(): Promise<Delivery> } {
  const arrivals = new EventEmitter();
  const deliveries = on(arrivals, 'delivery', { signal: AbortSignal.timeout(CONVERSATION_MS) });
  return {
    put: (delivery) => arrivals.emit('delivery', delivery),
    next: async () => (await deliveries.next()).value[0],
  };
}
