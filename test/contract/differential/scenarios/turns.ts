import type { Scenario } from '../script';
import { drain, withQueue } from '../with-queue';

/** Whose turn it is among the consumers of a queue, as they come, leave, fill up and have room again. */

export const turns: Scenario[] = [
  {
    name: 'consumers that were found full have their turn in the order in which they got room',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      for (const consumerTag of ['a', 'b', 'c']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['m1', 'm2', 'm3', 'm4']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
      channel.cast('basic.ack', { deliveryTag: 2 });
      await channel.deliveries(1);
      for (const deliveryTag of [3, 1, 4]) channel.cast('basic.ack', { deliveryTag });
      for (const body of ['m5', 'm6', 'm7']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
    },
  },
  {
    name: 'consumers that nobody found full keep their turns',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      for (const consumerTag of ['a', 'b', 'c']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['m1', 'm2', 'm3']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
      for (const deliveryTag of [2, 1, 3]) channel.cast('basic.ack', { deliveryTag });
      for (const body of ['m4', 'm5', 'm6']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
    },
  },
  {
    name: 'a consumer that was found full comes after those that had room all along',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'narrow' });
      await channel.call('basic.qos', { prefetchCount: 0 });
      for (const consumerTag of ['wide', 'broad']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['m1', 'm2', 'm3', 'm4']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(4);
      channel.cast('basic.ack', { deliveryTag: 1 });
      for (const body of ['m5', 'm6', 'm7', 'm8']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(4);
    },
  },
  {
    name: 'a consumer that comes has its turn last',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      for (const consumerTag of ['a', 'b']) await channel.call('basic.consume', { queue, consumerTag });
      channel.publish({ routingKey: queue, body: 'm1' });
      await channel.deliveries(1);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      for (const body of ['m2', 'm3', 'm4', 'm5']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(4);
    },
  },
  {
    name: 'the others keep their turns when a consumer leaves',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      for (const consumerTag of ['a', 'b', 'c', 'd']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['m1', 'm2']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(2);
      await channel.call('basic.cancel', { consumerTag: 'b' });
      for (const body of ['m3', 'm4', 'm5', 'm6']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(4);
    },
  },
  {
    name: 'a cancel of one of two consumers of a channel leaves the other',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      for (const consumerTag of ['a', 'b']) await channel.call('basic.consume', { queue, consumerTag });
      await channel.call('basic.cancel', { consumerTag: 'a' });
      for (const body of ['m1', 'm2']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(2);
    },
  },
  {
    name: 'consumers of one channel that a global prefetch stopped go on in their turns',
    follows: '3.10 and 3.13: accepted. 4.x: deprecated, refused where the feature is denied.',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 2, global: true });
      for (const consumerTag of ['a', 'b', 'c']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(2);
      channel.cast('basic.ack', { deliveryTag: 2, multiple: true });
      await channel.deliveries(2);
      channel.cast('basic.ack', { deliveryTag: 3 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a cut connection gives back what it holds to the consumers that stay, in order',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const leaving = await script.open();
      await leaving.call('basic.consume', { queue, consumerTag: 'leaving' });
      for (const body of ['m1', 'm2', 'm3']) channel.publish({ routingKey: queue, body });
      await leaving.deliveries(3);
      for (const consumerTag of ['a', 'b']) await channel.call('basic.consume', { queue, consumerTag });
      leaving.connection.wire.destroy();
      await channel.deliveries(3);
    },
  },
  {
    name: 'prefetches of consumers on one channel may differ',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      for (const prefetchCount of [1, 3]) {
        await channel.call('basic.qos', { prefetchCount });
        await channel.call('basic.consume', { queue, consumerTag: `takes ${prefetchCount}` });
      }
      for (const body of ['m1', 'm2', 'm3', 'm4', 'm5']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(4);
      await channel.nothing();
    },
  },
  {
    name: 'a message that comes back passes by a full consumer of higher priority',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'high', arguments: { 'x-priority': 9 } });
      await channel.call('basic.consume', { queue, consumerTag: 'low' });
      for (const body of ['m1', 'm2', 'm3']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(2);
      channel.cast('basic.reject', { deliveryTag: 2, requeue: true });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a purge takes what waits, and what comes back later stays',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.get', { queue });
      await channel.call('queue.purge', { queue });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await drain(channel, queue);
    },
  },
  {
    name: 'the tag of a message that needs no acknowledgement does not stand for those before it',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue, noAck: true });
      channel.cast('basic.ack', { deliveryTag: 2, multiple: true });
      await channel.next();
    },
  },
];
