import type { Scenario } from '../script';
import { drain, holding, withQueue } from '../with-queue';

/** Where messages go that come back, by requeue, recover or the end of their holder: to their place, marked as redelivered. */

export const returning: Scenario[] = [
  {
    name: 'a requeued message is redelivered in its place',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3', 'm4');
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.reject', { deliveryTag: 2, requeue: true });
      await channel.call('basic.get', { queue });
      channel.cast('basic.reject', { deliveryTag: 3, requeue: true });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await drain(channel, queue);
    },
  },
  {
    name: 'several messages requeued at once keep their order',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3', 'm4');
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.nack', { deliveryTag: 3, multiple: true, requeue: true });
      await drain(channel, queue);
    },
  },
  {
    name: 'a requeued message goes to the consumer whose turn it is',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      channel.publish({ routingKey: queue, body: 'm1' });
      await channel.deliveries(1);
      for (let deliveryTag = 1; deliveryTag <= 3; deliveryTag += 1) {
        channel.cast('basic.reject', { deliveryTag, requeue: true });
        await channel.deliveries(1);
      }
    },
  },
  {
    name: 'messages requeued at once are shared among the consumers, those of one consumer before those of the next',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      for (const body of ['m1', 'm2', 'm3', 'm4', 'm5']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(5);
      channel.cast('basic.nack', { deliveryTag: 0, multiple: true, requeue: true });
      await channel.deliveries(5);
      await channel.call('basic.recover', { requeue: true });
      await channel.deliveries(5);
    },
  },
  {
    name: 'an acknowledgement at once of what two consumers held lets them go on by their tags',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      for (const consumerTag of ['c', 'b', 'a']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['m1', 'm2', 'm3', 'm4', 'm5', 'm6']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(3);
      channel.cast('basic.ack', { deliveryTag: 0, multiple: true });
      await channel.deliveries(3);
    },
  },
  {
    name: 'messages rejected at once die by consumer',
    async run(script) {
      const channel = await script.open();
      const [queue, dead] = [script.name('q'), script.name('dead')];
      await channel.call('queue.declare', { queue: dead });
      const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
      await channel.call('queue.declare', { queue, arguments: args });
      for (const consumerTag of ['b', 'a']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['m1', 'm2', 'm3', 'm4']) channel.publish({ routingKey: queue, body });
      await channel.deliveries(4);
      channel.cast('basic.nack', { deliveryTag: 4, multiple: true });
      const reader = await script.open();
      await reader.call('basic.consume', { queue: dead, consumerTag: 'dead', noAck: true });
      for (let count = 0; count < 4; count += 1) {
        const [delivery] = await reader.deliveries(1);
        script.note(String(delivery?.body));
      }
    },
  },
  {
    name: 'a requeued message comes before those that wait',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3');
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
      channel.cast('basic.nack', { deliveryTag: 1, requeue: true });
      await channel.deliveries(1);
      channel.cast('basic.ack', { deliveryTag: 2 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'the end of a channel gives back what it holds, in order and before what waits',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3', 'm4');
      await channel.call('basic.qos', { prefetchCount: 2 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(2);
      await channel.call('basic.get', { queue });
      await channel.call('channel.close', { replyCode: 200 });
      await drain(await script.open(), queue);
    },
  },
  {
    name: 'the end of a connection gives back what its channels hold',
    async run(script) {
      const reader = await script.open();
      const { channel, queue } = await holding(script, 'm1', 'm2');
      const second = await channel.connection.channel(2);
      const other = script.name('other');
      await second.call('queue.declare', { queue: other });
      second.publish({ routingKey: other, body: 'm3' });
      await second.call('basic.get', { queue: other });
      await channel.connection.control.call('connection.close', { replyCode: 200 });
      await reader.call('basic.consume', { queue, consumerTag: 'reader', noAck: true });
      await reader.deliveries(2);
      await reader.call('basic.consume', { queue: other, consumerTag: 'other', noAck: true });
      await reader.deliveries(1);
    },
  },
  {
    name: 'a connection that is cut gives back what it holds',
    async run(script) {
      const reader = await script.open();
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.call('basic.get', { queue });
      channel.connection.wire.destroy();
      await reader.call('basic.consume', { queue, consumerTag: 'reader', noAck: true });
      await reader.deliveries(1);
    },
  },
  {
    name: 'a recover gives back all and delivers it again',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3');
      await channel.call('basic.get', { queue });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(2);
      await channel.call('basic.recover', { requeue: true });
      await channel.deliveries(3);
      channel.cast('basic.ack', { deliveryTag: 6, multiple: true });
      await channel.nothing();
    },
  },
  {
    name: 'a recover of nothing is answered',
    async run(script) {
      const channel = await script.open();
      await channel.call('basic.recover', { requeue: true });
    },
  },
  {
    name: 'a recover without an answer gives back all as well',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1');
      channel.cast('basic.recover-async', { requeue: true });
      await drain(channel, queue);
    },
  },
  {
    name: 'a recover without requeue is not implemented',
    async run(script) {
      for (const method of ['basic.recover', 'basic.recover-async'] as const) {
        const channel = await script.open();
        channel.cast(method, { requeue: false });
        await channel.next();
      }
    },
  },
  {
    name: 'a message is marked as redelivered only when it was out before',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
      await channel.call('basic.cancel', { consumerTag: 'tag' });
      await channel.call('channel.close', { replyCode: 200 });
      await drain(await script.open(), queue);
    },
  },
  {
    name: 'a requeued message keeps its priority',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue, arguments: { 'x-max-priority': 5 } });
      for (const priority of [1, 5, 3]) {
        channel.publish({ routingKey: queue, properties: { priority }, body: `p${priority}` });
      }
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue });
      for (const deliveryTag of [3, 1, 2]) channel.cast('basic.reject', { deliveryTag, requeue: true });
      await drain(channel, queue);
    },
  },
  {
    name: 'what was held of a deleted queue is not in a new one of its name',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1');
      await channel.call('queue.delete', { queue });
      await channel.call('queue.declare', { queue });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await drain(channel, queue);
    },
  },
];
