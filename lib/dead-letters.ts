import { randomUUID } from 'node:crypto';
import { deadLetterQueue } from '../infra/topology';
import type { Delivery } from './amqp';
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
      const headers = {
        ...properties.headers,
        'x-verdict': verdict,
        'x-reason': reason,
        'x-original-queue': queue,
      };
      // The broker accepts only the publisher's own userId, and would let an expiring dead letter expire.
      const { userId: _, expiration: __, ...kept } = properties;
      await publisher.publish(
        {
          queue: deadLetterQueue(wsQueue),
          body,
          // The publisher tells returned messages by their messageId; a reply need not have one.
          properties: { ...kept, headers, deliveryMode: 2, messageId: properties.messageId ?? randomUUID() },
        },
        deadline,
      );
    },
  };
}
