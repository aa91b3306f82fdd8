/**
 * The queues of the gateway as data: what is declared on a broker, what the emulator and the tests expect, what the
 * docs describe.
 *
 * The queues shared with services are plain and durable. NestJS declares its queue with `durable: true` and no
 * arguments, and does not start where the queue has any; limits and TTLs come by a policy of the operator.
 */

export interface QueueDeclaration {
  name: string;
  durable: true;
  arguments: Record<string, never>;
}

export interface QueueNames {
  apiQueue: string;
  wsQueue: string;
  /** How many queues of replies there are, 1 to `mostReplyShards`; each has an event source mapping of its own. */
  replyShards?: number;
}

export const mostReplyShards = 32;

/** The queue of requests first, that of dead letters last. */
export function topology({ apiQueue, ...replies }: QueueNames): QueueDeclaration[] {
  return [apiQueue, ...replyQueues(replies), deadLetterQueue(replies.wsQueue)].map((name) => ({
    name,
    durable: true,
    arguments: {},
  }));
}

/** Whether no queue of replies or dead letters is the queue of requests. */
export function areDifferentQueues(names: QueueNames): boolean {
  const [, ...others] = topology(names);
  return others.every(({ name }) => name !== names.apiQueue);
}

/** `ws_queue`, `ws_queue.1`, `ws_queue.2`, ...: the plain name first, which a service may also know by itself. */
export function replyQueues({ wsQueue, replyShards = 1 }: Omit<QueueNames, 'apiQueue'>): string[] {
  return Array.from({ length: replyShards }, (_, shard) => (shard === 0 ? wsQueue : `${wsQueue}.${shard}`));
}

/** Where replies lie that could not be delivered, of whatever shard. */
export function deadLetterQueue(wsQueue: string): string {
  return `${wsQueue}.dead`;
}
