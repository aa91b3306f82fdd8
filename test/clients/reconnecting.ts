import { once } from 'node:events';
import { connect } from 'amqp-connection-manager';
import type { ConfirmChannel } from 'amqplib';
import { Connection } from 'rabbitmq-client';

/** Clients that come back by themselves once the broker has closed their connection. */
interface Reconnecting {
  /** Hands on what comes to the queue, which it declares. */
  consume(queue: string, take: (body: string) => void): Promise<unknown>;
  /** Resolves once the broker has confirmed. */
  publish(queue: string, body: string): Promise<unknown>;
  /** Does what costs it its connection: consumes twice by one tag. Resolves once that is lost. */
  offend(queue: string): Promise<unknown>;
  close(): Promise<unknown>;
}

const BACK_OFF_MS = 20;
const TAG = 'twice';

export function reconnectingConnectionManager(url: string): Reconnecting {
  const manager = connect([url], { reconnectTimeInSeconds: BACK_OFF_MS / 1000 });
  const channel = manager.createChannel();
  return {
    async consume(queue, take) {
      await channel.addSetup((opened: ConfirmChannel) => opened.assertQueue(queue, { durable: true }).then(() => {}));
      await channel.waitForConnect();
      await channel.consume(queue, ({ content }) => take(String(content)), { noAck: true });
    },
    publish: (queue, body) => channel.sendToQueue(queue, body),
    async offend(queue) {
      const lost = once(manager, 'disconnect');
      const offender = await manager.connection?.createChannel();
      offender?.on('error', () => undefined);
      const twice = () => offender?.consume(queue, () => undefined, { consumerTag: TAG });
      await Promise.allSettled([twice(), twice()]);
      await lost;
    },
    close: () => manager.close(),
  };
}

export function reconnectingRabbitmqClient(url: string): Reconnecting {
  const connection = new Connection({ url, retryLow: BACK_OFF_MS });
  const publisher = connection.createPublisher({ confirm: true });
  const consumers: { close(): Promise<void> }[] = [];
  connection.on('error', () => undefined);
  return {
    async consume(queue, take) {
      const queueOptions = { queue, durable: true };
      const consumer = connection.createConsumer({ queue, queueOptions, noAck: true }, ({ body }) =>
        take(String(body)),
      );
      // Told as well when its channel goes with the connection.
      consumer.on('error', () => undefined);
      consumers.push(consumer);
      await once(consumer, 'ready');
    },
    publish: (queue, body) => publisher.send(queue, body),
    async offend(queue) {
      const lost = new Promise((resolve) => connection.once('error', resolve));
      const offender = await connection.acquire();
      const twice = () => offender.basicConsume({ queue, consumerTag: TAG }, () => undefined);
      await Promise.allSettled([twice(), twice()]);
      await lost;
    },
    async close() {
      for (const consumer of consumers) await consumer.close();
      await publisher.close();
      await connection.close();
    },
  };
}
