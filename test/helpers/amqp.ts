import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import amqp, { type Channel, type ChannelModel, type ConsumeMessage, type Options } from 'amqplib';

/** A plain AMQP client of a test, as a service would use one. */
export interface TestChannel {
  connection: ChannelModel;
  channel: Channel;
  close(): Promise<void>;
}

export async function openChannel(url: string): Promise<TestChannel> {
  const connection = await amqp.connect(url, { noDelay: true });
  connection.on('error', () => undefined);
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  // The channel first: amqplib may write a connection's close before what its channels still have to send.
  const close = async () => {
    await channel.close().catch(() => undefined);
    await connection.close().catch(() => undefined);
  };
  return { connection, channel, close };
}

/** Queue names that no other test has. */
export function queueNames(): { apiQueue: string; wsQueue: string; env: Record<string, string> } {
  const suffix = randomBytes(4).toString('hex');
  const [apiQueue, wsQueue] = [`api_${suffix}`, `ws_${suffix}`];
  return { apiQueue, wsQueue, env: { API_QUEUE: apiQueue, WS_QUEUE: wsQueue } };
}

/** Messages of a queue one by one, acknowledged as they are handed out. */
export async function reader(channel: Channel, queue: string): Promise<() => Promise<ConsumeMessage>> {
  const messages: ConsumeMessage[] = [];
  await channel.consume(queue, (message) => {
    if (message === null) return;
    channel.ack(message);
    messages.push(message);
    channel.emit('test-message');
  });
  return async () => {
    while (messages.length === 0) await once(channel, 'test-message', { signal: AbortSignal.timeout(10_000) });
    return messages.shift() as ConsumeMessage;
  };
}

/** An RPC worker as any language has one: answers to replyTo with the correlationId it was given. */
export async function startRpcWorker(
  url: string,
  queue: string,
  work: (packet: { data: Record<string, unknown> }) => { body: unknown; options?: Options.Publish } | undefined,
): Promise<TestChannel> {
  const worker = await openChannel(url);
  await worker.channel.assertQueue(queue, { durable: true });
  await worker.channel.prefetch(50);
  await worker.channel.consume(queue, (message) => {
    if (message === null) return;
    const { replyTo, correlationId } = message.properties;
    const answer = work(JSON.parse(String(message.content)));
    if (answer !== undefined) {
      const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
      worker.channel.sendToQueue(replyTo, Buffer.from(body), { correlationId, ...answer.options });
    }
    worker.channel.ack(message);
  });
  return worker;
}

/** Deletes queues that a test made; what does not exist is no matter. */
export async function deleteQueues(url: string, ...queues: string[]): Promise<void> {
  const { channel, close } = await openChannel(url);
  for (const queue of queues) await channel.deleteQueue(queue);
  await close();
}
