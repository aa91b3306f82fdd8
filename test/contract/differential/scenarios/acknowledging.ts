import type { Scenario } from '../script';
import { drain, holding, withQueue } from '../with-queue';

/** basic.ack, nack and reject: which tags they take, and what they leave. */

export const acknowledging: Scenario[] = [
  {
    name: 'an acknowledged message is gone',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1');
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.call('channel.close', { replyCode: 200 });
      await drain(await script.open(), queue);
    },
  },
  {
    name: 'an acknowledgement of several takes all up to its tag',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1', 'm2', 'm3');
      channel.cast('basic.ack', { deliveryTag: 2, multiple: true });
      await channel.call('channel.close', { replyCode: 200 });
      await drain(await script.open(), queue);
    },
  },
  {
    name: 'tag zero with multiple is everything, even where there is nothing',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1', 'm2');
      channel.cast('basic.ack', { deliveryTag: 0, multiple: true });
      channel.cast('basic.ack', { deliveryTag: 0, multiple: true });
      channel.cast('basic.nack', { deliveryTag: 0, multiple: true, requeue: true });
      await channel.nothing();
      await channel.call('channel.close', { replyCode: 200 });
      await drain(await script.open(), queue);
    },
  },
  {
    name: 'tag zero alone is an unknown tag',
    async run(script) {
      for (const method of ['basic.ack', 'basic.nack', 'basic.reject'] as const) {
        const { channel } = await holding(script, 'm1');
        channel.cast(method, { deliveryTag: 0 });
        await channel.next();
      }
    },
  },
  {
    name: 'an unknown tag closes the channel',
    async run(script) {
      for (const method of ['basic.ack', 'basic.nack', 'basic.reject'] as const) {
        const channel = await script.open();
        channel.cast(method, { deliveryTag: 2 ** 53 });
        await channel.next();
      }
    },
  },
  {
    name: 'a message cannot be acknowledged twice',
    async run(script) {
      const { channel } = await holding(script, 'm1', 'm2');
      channel.cast('basic.ack', { deliveryTag: 1 });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.next();
    },
  },
  {
    name: 'an acknowledgement of several needs a tag that is held',
    async run(script) {
      for (const deliveryTag of [1, 4]) {
        const { channel, queue } = await holding(script, 'm1', 'm2', 'm3');
        channel.cast('basic.ack', { deliveryTag: 1 });
        channel.cast('basic.ack', { deliveryTag, multiple: true });
        await channel.next();
        await drain(await script.open(), queue);
      }
    },
  },
  {
    name: 'a message of another channel is unknown',
    async run(script) {
      const { channel } = await holding(script, 'm1');
      const other = await channel.connection.channel(2);
      other.cast('basic.ack', { deliveryTag: 1 });
      await other.next();
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.nothing();
    },
  },
  {
    name: 'a message that was delivered without acknowledgement cannot be acknowledged',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      await channel.call('basic.get', { queue, noAck: true });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.next();
    },
  },
  {
    name: 'a message that was requeued cannot be acknowledged under its old tag',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1');
      channel.cast('basic.nack', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.next();
    },
  },
  {
    name: 'a wrong acknowledgement gives back all that the channel holds',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1', 'm2');
      channel.cast('basic.ack', { deliveryTag: 9 });
      await channel.next();
      await drain(await script.open(), queue);
    },
  },
  {
    name: 'messages of several queues are acknowledged at once',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1');
      const other = script.name('other');
      await channel.call('queue.declare', { queue: other });
      channel.publish({ routingKey: other, body: 'm2' });
      await channel.call('basic.get', { queue: other });
      channel.cast('basic.nack', { deliveryTag: 2, multiple: true, requeue: true });
      await drain(channel, queue);
      await drain(channel, other);
    },
  },
  {
    name: 'a reject without requeue drops the message, and so does a nack',
    async run(script) {
      const { channel, queue } = await holding(script, 'm1', 'm2', 'm3');
      channel.cast('basic.reject', { deliveryTag: 1 });
      channel.cast('basic.nack', { deliveryTag: 3, multiple: true });
      await drain(channel, queue);
    },
  },
];
