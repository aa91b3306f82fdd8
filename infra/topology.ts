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
}

export function topology({ apiQueue, wsQueue }: QueueNames): QueueDeclaration[] {
  return [apiQueue, wsQueue, deadLetterQueue(wsQueue)].map((name) => ({
    name,
    durable: true,
    arguments: {},
  }));
}

/** Where replies lie that could not be delivered. */
export function deadLetterQueue(wsQueue: string): string {
  return `${wsQueue}.dead`;
}
