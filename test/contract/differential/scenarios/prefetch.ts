import type { Scenario } from '../script';
import { withQueue } from '../with-queue';

/** basic.qos: how many messages a consumer or a channel may hold. */

export const prefetch: Scenario[] = [
  {
    name: 'a consumer gets no more than its prefetch, and one more for each that it settles',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3', 'm4', 'm5');
      await channel.call('basic.qos', { prefetchCount: 2 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(2);
      await channel.nothing();
      channel.cast('basic.ack', { deliveryTag: 2 });
      await channel.deliveries(1);
      await channel.nothing();
      channel.cast('basic.ack', { deliveryTag: 3, multiple: true });
      await channel.deliveries(2);
    },
  },
  {
    name: 'a rejected message makes room like an acknowledged one',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3');
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 1 });
      await channel.deliveries(1);
      channel.cast('basic.nack', { deliveryTag: 2 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a message that is requeued at a full prefetch comes again',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.deliveries(1);
      await channel.nothing();
    },
  },
  {
    name: 'each consumer of a channel has a prefetch of its own',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      for (const body of ['m1', 'm2', 'm3']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(2);
      await channel.nothing();
      channel.cast('basic.ack', { deliveryTag: 2 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a prefetch is that of consumers yet to come',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'unlimited' });
      await channel.call('basic.qos', { prefetchCount: 1 });
      for (const body of ['m1', 'm2', 'm3']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
      await channel.call('basic.cancel', { consumerTag: 'unlimited' });
      await channel.call('basic.consume', { queue, consumerTag: 'limited' });
      for (const body of ['m4', 'm5']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(1);
      await channel.nothing();
    },
  },
  {
    name: 'a prefetch of zero is none',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3');
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.qos', { prefetchCount: 0 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(3);
    },
  },
  {
    name: 'a prefetch does not count for those that do not acknowledge',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3');
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.qos', { prefetchCount: 1, global: true });
      await channel.call('basic.consume', { queue, consumerTag: 'tag', noAck: true });
      await channel.deliveries(3);
    },
  },
  {
    name: 'a prefetch neither counts nor limits what is got',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3', 'm4');
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
      await channel.nothing();
    },
  },
  {
    name: 'a global prefetch is shared by the consumers of the channel',
    follows: '3.10 and 3.13: accepted. 4.x: deprecated, refused where the feature is denied.',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 2, global: true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      for (const body of ['m1', 'm2', 'm3', 'm4']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(2);
      await channel.nothing();
      channel.cast('basic.ack', { deliveryTag: 2, multiple: true });
      await channel.deliveries(2);
    },
  },
  {
    name: 'a global prefetch counts for consumers that are there, and so does lifting it',
    follows: '3.10 and 3.13: accepted. 4.x: deprecated, refused where the feature is denied.',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.call('basic.qos', { prefetchCount: 1, global: true });
      for (const body of ['m1', 'm2', 'm3']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(1);
      await channel.nothing();
      await channel.call('basic.qos', { prefetchCount: 0, global: true });
      await channel.deliveries(2);
    },
  },
  {
    name: 'with both a prefetch and a global one the narrower counts',
    follows: '3.10 and 3.13: accepted. 4.x: deprecated, refused where the feature is denied.',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 2 });
      await channel.call('basic.qos', { prefetchCount: 3, global: true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      for (const body of ['m1', 'm2', 'm3', 'm4', 'm5']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
      await channel.nothing();
    },
  },
  {
    name: 'a global prefetch below what the channel holds stops it until enough is settled',
    follows: '3.10 and 3.13: accepted. 4.x: deprecated, refused where the feature is denied.',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      for (const body of ['m1', 'm2', 'm3']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
      await channel.call('basic.qos', { prefetchCount: 2, global: true });
      channel.publish({ routingKey: queue, body: 'm4' });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.nothing();
      channel.cast('basic.ack', { deliveryTag: 2 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a prefetch in bytes is not implemented',
    async run(script) {
      const channel = await script.open();
      await channel.call('basic.qos', { prefetchSize: 1 });
      await channel.connection.hungUp();
    },
  },
  {
    name: 'a cancelled consumer makes no room on the channel before its messages are settled',
    follows: '3.10 and 3.13: accepted. 4.x: deprecated, refused where the feature is denied.',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1, global: true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      for (const body of ['m1', 'm2']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(1);
      await channel.call('basic.cancel', { consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      await channel.nothing();
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a consumer at its prefetch leaves messages to others',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const other = await script.open();
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'one' });
      await other.call('basic.qos', { prefetchCount: 3 });
      await other.call('basic.consume', { queue, consumerTag: 'three' });
      for (const body of ['m1', 'm2', 'm3', 'm4', 'm5']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(1);
      await other.deliveries(3);
      await channel.nothing();
      await other.nothing();
    },
  },
];
