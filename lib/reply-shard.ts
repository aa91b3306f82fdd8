import { createHash } from 'node:crypto';

/**
 * Which of the reply queues is a connection's: always the same one, in every process and every version, for the replies
 * to one connection keep their order only in one queue. Connections spread evenly, whatever their ids look like.
 */
export function replyQueueOf(connectionId: string, replyQueues: readonly string[]): string {
  if (replyQueues.length === 1) return replyQueues[0] as string;
  const hash = createHash('sha256').update(connectionId).digest().readUInt32BE();
  return replyQueues[hash % replyQueues.length] as string;
}
