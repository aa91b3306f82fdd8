import { deadLetterQueue } from '../infra/topology';
import type { Delivery, OutgoingMessage, Properties } from './amqp';
import { GatewayError } from './errors';
import type { Publisher } from './publisher';

/**
 * Replies that could not be delivered lie in `<WS_QUEUE>.dead`: the body as it came, the properties too but for those
 * that would lose or refuse the dead letter, and in the headers what became of it. It counts as laid down only once the
 * broker has confirmed it.
 */

export interface DeadLetter {
  delivery: Delivery;
  verdict: string;
  reason: string;
  /** Posts that were tried this time. */
  attempts: number;
  /** When the consumer was given the reply this time, milliseconds since 1970. */
  seenAt: number;
}

export interface DeadLetters {
  /** Rejects when the broker did not confirm it before `deadline` (milliseconds since 1970). */
  add(letter: DeadLetter, deadline: number): Promise<void>;
}

export function amqpDeadLetters(publisher: Publisher, wsQueue: string): DeadLetters {
  return {
    async add(letter, deadline) {
      let refusal: unknown;
      for (const draft of drafts(letter)) {
        try {
          return await publisher.publish({ queue: deadLetterQueue(wsQueue), ...draft }, deadline);
        } catch (error) {
          if (!isOfTheMessage(error)) throw error;
          refusal = error;
        }
      }
      throw refusal;
    },
  };
}

type Draft = Pick<OutgoingMessage, 'body' | 'properties'>;

/**
 * The letter, and what remains of it where the broker cannot take that: the service's properties have passed through
 * several encodings, its headers may have filled a frame to which more are added now, and the broker's limit for bodies
 * may have been lowered. A letter that could not be laid down at all would bring its batch back for ever.
 */
function* drafts(letter: DeadLetter): Generator<Draft> {
  const { body } = letter.delivery;
  const { headers, ...properties } = keepable(letter.delivery.properties);
  const account = accountOf(letter);
  const deliveryMode = 2;
  yield { body, properties: { ...properties, deliveryMode, headers: { ...headers, ...account } } };
  yield { body, properties: { ...properties, deliveryMode, headers: account } };
  yield { body, properties: { deliveryMode, headers: account } };
  const reason = `${account['x-reason']}; the broker does not take the body of ${body.length} bytes any more`;
  yield { body: Buffer.alloc(0), properties: { deliveryMode, headers: { ...account, 'x-reason': reason } } };
}

function accountOf({ delivery, verdict, reason, attempts, seenAt }: DeadLetter) {
  const { headers = {} } = delivery.properties;
  // A letter that was replayed brings its history along.
  const { 'x-first-seen': firstSeen, 'x-attempts': earlierAttempts } = headers;
  return {
    'x-verdict': verdict,
    'x-reason': reason,
    'x-first-seen': isTime(firstSeen) ? firstSeen : new Date(seenAt).toISOString(),
    'x-attempts': attempts + (isCount(earlierAttempts) ? earlierAttempts : 0),
    'x-original-queue': delivery.queue,
  };
}

/**
 * Without what would lose the dead letter: the broker accepts no userId but the publisher's own, lets an expiring letter
 * expire, and routes one with CC or BCC also to the queues named there, such as the one it came from.
 */
export function keepable({ userId: _, expiration: __, headers = {}, ...kept }: Properties): Properties {
  const { CC: ___, BCC: ____, ...others } = headers;
  return { ...kept, headers: others };
}

function isOfTheMessage(error: unknown): boolean {
  return error instanceof GatewayError && (error.code === 'invalid_message' || error.code === 'too_large');
}

/** As `toISOString` writes it. */
function isTime(header: unknown): header is string {
  if (typeof header !== 'string') return false;
  const time = new Date(header);
  return !Number.isNaN(time.getTime()) && time.toISOString() === header;
}

function isCount(header: unknown): header is number {
  return Number.isInteger(header) && (header as number) >= 0 && (header as number) < 2 ** 31;
}
