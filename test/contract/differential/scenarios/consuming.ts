import type { Scenario } from '../script';
import { typed } from '../values';
import { withQueue } from '../with-queue';

/** basic.consume and basic.cancel: who receives what. */

export const consuming: Scenario[] = [
  {
    name: 'a consumer gets what waits and what comes, in order, under its tag',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      channel.publish({ routingKey: queue, body: 'm3' });
      await channel.deliveries(3);
    },
  },
  {
    name: 'a consumer without a tag gets one from the broker',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.consume', { queue, noAck: true });
      await channel.deliveries(2);
      await channel.call('basic.consume', { queue, noAck: true });
    },
  },
  {
    name: 'a tag that the channel has already ends the connection',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const other = script.name('other');
      await channel.call('queue.declare', { queue: other });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.call('basic.consume', { queue: other, consumerTag: 'tag' });
      await channel.connection.hungUp();
    },
  },
  {
    name: 'a tag is free again after its cancel, and another channel may have the same',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await (await channel.connection.channel(2)).call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.call('basic.cancel', { consumerTag: 'tag' });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
    },
  },
  {
    name: 'a tag may be 255 bytes of any text',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      await channel.call('basic.consume', { queue, consumerTag: 't'.repeat(255) });
      await channel.call('basic.consume', { queue, consumerTag: 'é\n' });
      await channel.deliveries(1);
    },
  },
  {
    name: 'consuming a queue that is not there closes the channel',
    async run(script) {
      const channel = await script.open();
      await channel.call('basic.consume', { queue: script.name('missing'), consumerTag: 'tag' });
    },
  },
  {
    name: 'an empty queue name is the queue declared last, or an error',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      await channel.call('basic.consume', { consumerTag: 'tag' });
      await channel.deliveries(1);
      channel.publish({ routingKey: queue });
      const other = await channel.connection.channel(2);
      await other.call('basic.consume', { consumerTag: 'other' });
    },
  },
  {
    name: 'a consume and a get in a queue of another connection are refused',
    async run(script) {
      const owner = await script.open();
      const queue = script.name('exclusive');
      await owner.call('queue.declare', { queue, exclusive: true });
      await (await script.open()).call('basic.consume', { queue });
      await (await script.open()).call('basic.get', { queue });
    },
  },
  {
    name: 'an exclusive consumer keeps others out until it leaves',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      await channel.call('basic.consume', { queue, consumerTag: 'alone', exclusive: true });
      const other = await channel.connection.channel(2);
      await other.call('basic.consume', { queue, consumerTag: 'other' });
      await channel.call('basic.cancel', { consumerTag: 'alone' });
      await other.call('channel.open');
      await other.call('basic.consume', { queue, consumerTag: 'other' });
    },
  },
  {
    name: 'a consumer cannot be exclusive where others are',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'alone', exclusive: true });
    },
  },
  {
    name: 'an exclusive consumer does not keep a get out',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'alone', exclusive: true });
      await (await channel.connection.channel(2)).call('basic.get', { queue });
    },
  },
  {
    name: 'messages to a consumer that does not acknowledge are gone when they are sent',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.consume', { queue, consumerTag: 'tag', noAck: true });
      await channel.deliveries(2);
      await channel.call('basic.cancel', { consumerTag: 'tag' });
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'no-local is ignored',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'tag', noLocal: true });
      channel.publish({ routingKey: queue });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a consume with nowait has no answer and works',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      await channel.call('basic.consume', { queue, consumerTag: 'tag', nowait: true });
      await channel.next();
    },
  },
  {
    name: 'the answer to a consume comes before the first message',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      channel.cast('basic.consume', { queue, consumerTag: 'tag' });
      await channel.next(2);
    },
  },
  {
    name: 'consumers take turns',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      const other = await channel.connection.channel(2);
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      await other.call('basic.consume', { queue, consumerTag: 'third' });
      for (let index = 1; index <= 6; index += 1) channel.publish({ routingKey: queue, body: `m${index}` });
      await channel.deliveries(4);
      await other.deliveries(2);
    },
  },
  {
    name: 'a consumer of higher priority gets everything while it has room',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.qos', { prefetchCount: 2 });
      await channel.call('basic.consume', { queue, consumerTag: 'low', arguments: { 'x-priority': -1 } });
      await channel.call('basic.consume', { queue, consumerTag: 'plain' });
      await channel.call('basic.consume', { queue, consumerTag: 'high', arguments: { 'x-priority': 1 } });
      for (let index = 1; index <= 5; index += 1) channel.publish({ routingKey: queue, body: `m${index}` });
      await channel.deliveries(5);
      channel.cast('basic.ack', { deliveryTag: 1 });
      channel.publish({ routingKey: queue, body: 'm6' });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a priority that is not a whole number closes the channel',
    async run(script) {
      for (const priority of ['high', 1.5, true, null, typed({ type: 'timestamp', value: 1n })]) {
        const { channel, queue } = await withQueue(script);
        await channel.call('basic.consume', { queue, consumerTag: 'tag', arguments: { 'x-priority': priority } });
      }
    },
  },
  {
    name: 'a priority may be a whole number of any size',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      const [small, large] = [typed({ type: 'byte', value: -3 }), typed({ type: 'long', value: 2n ** 62n })];
      await channel.call('basic.consume', { queue, consumerTag: 'small', arguments: { 'x-priority': small } });
      await channel.deliveries(1);
      await channel.call('basic.consume', { queue, consumerTag: 'large', arguments: { 'x-priority': large } });
      channel.publish({ routingKey: queue, body: 'm2' });
      await channel.deliveries(1);
    },
  },
  {
    name: 'arguments of a consume that mean nothing are ignored',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      await channel.call('basic.consume', { queue, consumerTag: 'tag', arguments: { 'x-unknown': 'x', other: [1] } });
      await channel.deliveries(1);
    },
  },
  {
    name: 'x-cancel-on-ha-failover must be a boolean',
    async run(script) {
      for (const value of [true, 'yes']) {
        const { channel, queue } = await withQueue(script);
        const args = { 'x-cancel-on-ha-failover': value };
        await channel.call('basic.consume', { queue, consumerTag: 'tag', arguments: args });
      }
    },
  },
  {
    name: 'a cancel ends the deliveries, and what was delivered may still be acknowledged',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(2);
      await channel.call('basic.cancel', { consumerTag: 'tag' });
      channel.publish({ routingKey: queue, body: 'm3' });
      channel.cast('basic.ack', { deliveryTag: 1 });
      channel.cast('basic.reject', { deliveryTag: 2, requeue: true });
      await channel.nothing();
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a cancel of a tag that the channel does not have is answered all the same',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1');
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(1);
      await channel.call('basic.cancel', { consumerTag: 'unknown' });
      const other = await channel.connection.channel(2);
      await other.call('basic.cancel', { consumerTag: 'tag' });
      channel.publish({ routingKey: queue, body: 'm2' });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a cancel with nowait has no answer and works',
    async run(script) {
      const { channel, queue } = await withQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.call('basic.cancel', { consumerTag: 'tag', nowait: true });
      await channel.call('basic.cancel', { consumerTag: 'unknown', nowait: true });
      channel.publish({ routingKey: queue });
      await channel.nothing();
    },
  },
  {
    name: 'a consumer hears that its queue was deleted, by itself or by another',
    async run(script) {
      for (const own of [true, false]) {
        const { channel, queue } = await withQueue(script);
        await channel.call('basic.consume', { queue, consumerTag: 'first' });
        await channel.call('basic.consume', { queue, consumerTag: 'second', noAck: true });
        const deleter = own ? channel : await script.open();
        await deleter.call('queue.delete', { queue });
        const cancels = await channel.receive('basic.cancel', 2);
        script.note(String(cancels.length));
      }
    },
  },
  {
    name: 'a consumer that cannot be told of a cancel hears nothing when its queue is deleted',
    async run(script) {
      const channel = await script.open({ capabilities: { consumer_cancel_notify: false } });
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.call('queue.delete', { queue });
      await channel.nothing();
      await channel.call('basic.cancel', { consumerTag: 'tag' });
    },
  },
  {
    name: 'a tag is free again, and what was delivered may be acknowledged, after the queue was deleted',
    async run(script) {
      const { channel, queue } = await withQueue(script, 'm1', 'm2');
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.deliveries(2);
      await channel.call('queue.delete', { queue });
      await channel.receive('basic.cancel');
      channel.cast('basic.ack', { deliveryTag: 1 });
      channel.cast('basic.reject', { deliveryTag: 2, requeue: true });
      await channel.call('queue.declare', { queue });
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.nothing();
    },
  },
];
