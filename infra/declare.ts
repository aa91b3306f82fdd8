import amqp from 'amqplib';
import type { QueueDeclaration } from './topology';

export type Declared = 'declared' | 'kept';

/**
 * Declares queues on a broker; what exists stays. `kept` is a queue that exists with other arguments: it is used as it
 * is, but a NestJS service that declares it plain does not start.
 */
export async function declareQueues(url: string, queues: readonly QueueDeclaration[]): Promise<Map<string, Declared>> {
  const connection = await amqp.connect(url, { noDelay: true, timeout: 5000 });
  connection.on('error', () => undefined);
  try {
    const result = new Map<string, Declared>();
    for (const { name, ...options } of queues) {
      // A refused declaration closes its channel, so each has its own.
      const channel = await connection.createChannel();
      channel.on('error', () => undefined);
      try {
        await channel.assertQueue(name, options);
        result.set(name, 'declared');
        await channel.close();
      } catch (error) {
        if ((error as { code?: number }).code !== 406) throw error;
        result.set(name, 'kept');
      }
    }
    return result;
  } finally {
    await connection.close().catch(() => undefined);
  }
}
