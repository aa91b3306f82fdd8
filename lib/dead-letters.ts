import { randomUUID } from 'node:crypto';
import { deadLetterQueue } from '../infra/topology';
import type { Delivery, OutgoingMessage, Properties } from './amqp';
import { GatewayError } from './errors';
import type { Publisher } from './publisher';

/**
 * Replies that could not be delivered lie in `<WS_QUEUE>.dead`: the body as it came, the properties too but for those
 * that would lose or refuse the dead letter, and in the headers why. It counts as laid down only once the broker has
 * confirmed it.
 */

export interface DeadLetters {
  /** Rejects when the broker did not confirm it before `deadline` (milliseconds since 1970). */
  add(delivery: Delivery, verdict: string, reason: string, deadline: number): Promise<void>;
}

export function amqpDeadLetters(publisher: Publisher, wsQueue: string): DeadLetters {
  return {
    async add({ queue, body, properties }, verdict, reason, deadline) {
      const why = { 'x-verdict': verdict, 'x-reason': reason, 'x-original-queue': queue };
      const letter = (kept: Properties): OutgoingMessage => ({
        queue: deadLetterQueue(wsQueue),
        body,
        properties: {
          ...kept,
          headers: { ...kept.headers, ...why },
          deliveryMode: 2,
          messageId: kept.messageId ?? randomUUID(),
        },
      });
      try {
        await publisher.publish(letter(keepable(properties)), deadline);
      } catch (error) {
        if (!(error instanceof GatewayError) || error.code !== 'invalid_message') throw error;
        // The service's own properties have passed through several encodings and cannot be written any more.
        await publisher.publish(letter({}), deadline);
      }
    },
  };
}

/**
 * Without what would lose the dead letter: the broker accepts no userId but the publisher's own, lets an expiring letter
 * expire, and routes one with CC or BCC also to the queues named there, such as the one it came from.
 */
function keepable({ userId: _, expiration: __, headers = {}, ...kept }: Properties): Properties {
  const { CC: ___, BCC: ____, ...others } = headers;
  return { ...kept, headers: others };
}
