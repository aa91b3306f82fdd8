import type { Scenario } from '../script';
import { withQueue } from '../with-queue';

/** basic.get: one message at a time, on demand. */

export const getting: Scenario[] = [
  {
    name: 'a get of an empty queue says so',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a get says how many messages are left',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3');
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a get of a queue that is not there closes the channel',
    async run(script) {
      const channel = await script.open();
      await channel.call('basic.get', { queue: script.name('missing') });
    },
  },
  {
    name: 'a get without a queue takes from the one declared last, or is an error',
    async run(script) {
      const { channel } = await withQueue(script, 'm1');
      await channel.call('basic.get');
      await (await channel.connection.channel(2)).call('basic.get');
    },
  },
  {
    name: 'gets and deliveries of a channel share one row of tags',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2', 'm3');
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
    },
  },
  {
    name: 'each channel has its own row of tags',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.get', { queue });
      await (await channel.connection.channel(2)).call('basic.get', { queue });
    },
  },
  {
    name: 'messages that a get holds are not counted, purged or in the way of a delete',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.get', { queue });
      await channel.call('queue.declare', { queue, passive: true });
      await channel.call('queue.purge', { queue });
      await channel.call('queue.delete', { queue, ifEmpty: true });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.nothing();
    },
  },
  {
    name: 'a get does not see what is published behind it',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      channel.cast('basic.get', { queue });
      channel.publish({ routingKey: queue });
      await channel.next();
      await channel.call('basic.get', { queue });
    },
  },
];
