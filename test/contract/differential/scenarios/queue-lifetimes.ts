import type { Scenario } from '../script';
import type { ScriptChannel } from '../script-connection';

/** How queues end, and those that are one connection's alone. */

export const queueLifetimes: Scenario[] = [
  {
    name: 'an exclusive queue declared again must be exclusive, and its durability does not matter',
    async run(script) {
      const connection = await script.connect();
      const queue = script.name('q');
      await (await connection.channel(1)).call('queue.declare', { queue, exclusive: true, durable: true });
      await (await connection.channel(2)).call('queue.declare', { queue, exclusive: true });
      await (await connection.channel(3)).call('queue.declare', { queue, exclusive: true, durable: true });
      await (await connection.channel(4)).call('queue.declare', { queue, exclusive: true, autoDelete: true });
      await (await connection.channel(5)).call('queue.declare', { queue });
    },
  },
  {
    name: 'an exclusive queue is locked for every other connection',
    async run(script) {
      const queue = script.name('q');
      await (await script.open()).call('queue.declare', { queue, exclusive: true });
      const other = await script.connect();
      await (await other.channel(1)).call('queue.declare', { queue, exclusive: true });
      await (await other.channel(2)).call('queue.declare', { queue, passive: true });
      await (await other.channel(3)).call('queue.bind', { queue, exchange: 'amq.direct', routingKey: 'k' });
      await (await other.channel(5)).call('queue.purge', { queue });
      await (await other.channel(6)).call('queue.delete', { queue });
      await (await other.channel(7)).call('basic.get', { queue });
      await (await other.channel(8)).call('basic.consume', { queue });
    },
  },
  {
    name: 'a binding that is not there is unbound from a locked queue, one that is there is not',
    async run(script) {
      const queue = script.name('q');
      const owner = await script.open();
      await owner.call('queue.declare', { queue, exclusive: true });
      await owner.call('queue.bind', { queue, exchange: 'amq.direct', routingKey: 'k' });
      const other = await script.open();
      await other.call('queue.unbind', { queue, exchange: 'amq.direct', routingKey: 'other' });
      await other.call('queue.unbind', { queue, exchange: 'amq.direct', routingKey: 'k' });
    },
  },
  {
    name: 'an exclusive queue takes messages from everybody and serves all channels of its connection',
    async run(script) {
      const owner = await script.connect();
      const queue = script.name('q');
      await (await owner.channel(1)).call('queue.declare', { queue, exclusive: true });
      const publisher = await script.open();
      await publisher.call('confirm.select');
      publisher.publish({ routingKey: queue });
      await publisher.confirms(1);
      await (await owner.channel(2)).call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an exclusive queue goes with its connection, not with its channel',
    async run(script) {
      const owner = await script.connect();
      const queue = script.name('q');
      const channel = await owner.channel(1);
      await channel.call('queue.declare', { queue, exclusive: true });
      await channel.call('channel.close', { replyCode: 200 });
      await (await owner.channel(2)).call('queue.declare', { queue, passive: true });
      await owner.control.call('connection.close', { replyCode: 200 });
      await (await script.open()).call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'an auto-deleted queue waits for a first consumer and goes with the last',
    async run(script) {
      const connection = await script.connect();
      const channel = await connection.channel(1);
      const queue = script.name('q');
      await channel.call('queue.declare', { queue, autoDelete: true });
      channel.publish({ routingKey: queue });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.deliveries(1);
      await channel.call('basic.consume', { queue, consumerTag: 'last' });
      await channel.call('basic.cancel', { consumerTag: 'first' });
      await channel.call('queue.declare', { queue, passive: true });
      await channel.call('basic.cancel', { consumerTag: 'last' });
      await (await connection.channel(2)).call('queue.declare', { queue, passive: true });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.nothing();
    },
  },
  {
    name: 'an auto-deleted queue goes with the channel of its last consumer',
    async run(script) {
      const connection = await script.connect();
      const queue = script.name('q');
      const channel = await connection.channel(1);
      await channel.call('queue.declare', { queue, autoDelete: true });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.call('channel.close', { replyCode: 200 });
      await (await connection.channel(2)).call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'getting a message does not use up an auto-deleted queue',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue, autoDelete: true });
      await channel.call('basic.get', { queue });
      await channel.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a delete says how many messages were ready and cancels the consumers',
    async run(script) {
      const connection = await script.connect();
      const channel = await connection.channel(1);
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await publish(channel, queue, 3);
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(1);
      await (await connection.channel(2)).call('queue.delete', { queue });
      await channel.receive('basic.cancel');
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.call('basic.cancel', { consumerTag: 'c' });
      await channel.nothing();
    },
  },
  {
    name: 'a delete if unused or if empty closes the channel with 406 when it is not',
    async run(script) {
      const connection = await script.connect();
      const consumer = await connection.channel(1);
      const queue = script.name('q');
      await consumer.call('queue.declare', { queue });
      await publish(consumer, queue, 1);
      await (await connection.channel(2)).call('queue.delete', { queue, ifEmpty: true });
      await consumer.call('basic.consume', { queue, consumerTag: 'c' });
      await consumer.deliveries(1);
      await (await connection.channel(3)).call('queue.delete', { queue, ifUnused: true });
      await (await connection.channel(4)).call('queue.delete', { queue, ifUnused: true, ifEmpty: true });
      await consumer.call('basic.cancel', { consumerTag: 'c' });
      // What is delivered and not settled does not count.
      await (await connection.channel(5)).call('queue.delete', { queue, ifUnused: true, ifEmpty: true });
    },
  },
  {
    name: 'an exclusive queue that is auto-deleted goes with its last consumer too',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue, exclusive: true, autoDelete: true });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.call('basic.cancel', { consumerTag: 'c' });
      await channel.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'what was delivered of a deleted queue does not come back to one of the same name',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await publish(channel, queue, 1);
      await channel.call('basic.get', { queue });
      await channel.call('queue.delete', { queue });
      await channel.call('queue.declare', { queue });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a deleted queue takes its bindings and messages with it',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await channel.call('queue.bind', { queue, exchange: 'amq.topic', routingKey: queue });
      channel.publish({ exchange: 'amq.topic', routingKey: queue });
      await channel.call('queue.delete', { queue });
      await channel.call('queue.declare', { queue, durable: true });
      channel.publish({ exchange: 'amq.topic', routingKey: queue, mandatory: true });
      await channel.receive('basic.return');
    },
  },
];

/** Confirmed, for RabbitMQ counts at once and may take what was published before only later. */
async function publish(channel: ScriptChannel, queue: string, count: number): Promise<void> {
  await channel.call('confirm.select');
  for (let number = 1; number <= count; number += 1) channel.publish({ routingKey: queue, body: `${number}` });
  await channel.confirms(count);
}
