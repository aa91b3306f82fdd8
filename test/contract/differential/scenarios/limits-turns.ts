import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import type { Plain } from '../values';

/** Whose turn it is: messages by priority, consumers by priority, exclusive and single active consumers. */

export const limitsOfTurns: Scenario[] = [
  {
    name: 'messages of a higher priority come first, those of the same in their order',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-max-priority': 5 });
      await publish(channel, queue, [
        ['low 1', 1],
        ['none', undefined],
        ['high 1', 5],
        ['low 2', 1],
        ['zero', 0],
        ['high 2', 5],
      ]);
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await channel.deliveries(6);
    },
  },
  {
    name: 'a priority above the queue’s is the queue’s highest, and the property stays as it was',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-max-priority': 2 });
      await publish(channel, queue, [
        ['one', 1],
        ['two', 2],
        ['nine', 9],
        ['most', 255],
      ]);
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await channel.deliveries(4);
    },
  },
  {
    name: 'a queue without priorities ignores them',
    async run(script) {
      const { channel, queue } = await declared(script, {});
      await publish(channel, queue, [
        ['low', 1],
        ['high', 9],
      ]);
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a returned message goes back to its place among those of its priority',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-max-priority': 5 });
      await publish(channel, queue, [
        ['low', 1],
        ['high 1', 5],
        ['high 2', 5],
      ]);
      await channel.call('basic.get', { queue });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'messages that are returned at once go back by their priorities',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-max-priority': 3 });
      await publish(channel, queue, [
        ['low 1', 1],
        ['middle', 2],
        ['low 2', 1],
        ['high', 3],
      ]);
      for (let count = 0; count < 4; count += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.nack', { deliveryTag: 4, multiple: true, requeue: true });
      for (let count = 0; count < 4; count += 1) await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a queue with the highest priority 0 has one order',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-max-priority': 0 });
      await publish(channel, queue, [
        ['first', 0],
        ['second', 7],
      ]);
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'messages of each priority expire on their own',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-max-priority': 5 });
      await publish(channel, queue, [['high', 5]]);
      channel.publish({ routingKey: queue, properties: { priority: 1, expiration: '100' } });
      await channel.confirms(1);
      await script.elapse(800);
      await channel.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a consumer of a higher priority gets all that it can take',
    async run(script) {
      const { channel, queue } = await declared(script, {});
      await channel.call('basic.qos', { prefetchCount: 2 });
      await channel.call('basic.consume', { queue, consumerTag: 'low', arguments: { 'x-priority': -1 } });
      await channel.call('basic.consume', { queue, consumerTag: 'usual' });
      await channel.call('basic.consume', { queue, consumerTag: 'high', arguments: { 'x-priority': 10 } });
      for (const body of ['1', '2', '3', '4', '5']) await publish(channel, queue, [[body, undefined]]);
      await channel.deliveries(5);
    },
  },
  {
    name: 'consumers of the same priority take turns',
    async run(script) {
      const { channel, queue } = await declared(script, {});
      for (const consumerTag of ['a', 'b', 'c']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['1', '2', '3', '4']) await publish(channel, queue, [[body, undefined]]);
      await channel.deliveries(4);
    },
  },
  {
    name: 'an exclusive consumer is alone on its queue',
    async run(script) {
      const { connection, channel, queue } = await declared(script, {});
      await channel.call('basic.consume', { queue, consumerTag: 'alone', exclusive: true });
      await (await connection.channel(2)).call('basic.consume', { queue, consumerTag: 'other' });
      await (await connection.channel(3)).call('basic.consume', { queue, consumerTag: 'other', exclusive: true });
      await (await connection.channel(4)).call('basic.get', { queue });
      await channel.call('basic.cancel', { consumerTag: 'alone' });
      const next = await connection.channel(5);
      await next.call('basic.consume', { queue, consumerTag: 'next' });
      await next.call('basic.consume', { queue, consumerTag: 'exclusive', exclusive: true });
    },
  },
  {
    name: 'a single active consumer takes everything, and the next in line takes over',
    async run(script) {
      const { connection, channel, queue } = await declared(script, { 'x-single-active-consumer': true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      const second = await connection.channel(2);
      await second.call('basic.consume', { queue, consumerTag: 'second' });
      await second.call('basic.consume', { queue, consumerTag: 'third' });
      await publish(channel, queue, [
        ['1', undefined],
        ['2', undefined],
      ]);
      await channel.deliveries(2);
      await channel.call('basic.cancel', { consumerTag: 'first' });
      await publish(channel, queue, [['3', undefined]]);
      await second.deliveries(1);
      await second.call('basic.cancel', { consumerTag: 'second' });
      await publish(channel, queue, [['4', undefined]]);
      await second.deliveries(1);
    },
  },
  {
    name: 'what a single active consumer held goes to the next when its channel ends',
    async run(script) {
      const { connection, channel, queue } = await declared(script, { 'x-single-active-consumer': true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      const second = await connection.channel(2);
      await second.call('basic.consume', { queue, consumerTag: 'second' });
      await publish(channel, queue, [
        ['1', undefined],
        ['2', undefined],
      ]);
      await channel.deliveries(2);
      await channel.call('channel.close', { replyCode: 200 });
      await second.deliveries(2);
    },
  },
  {
    name: 'a single active consumer that is full makes the others wait',
    async run(script) {
      const { connection, channel, queue } = await declared(script, { 'x-single-active-consumer': true });
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      const second = await connection.channel(2);
      await second.call('basic.consume', { queue, consumerTag: 'second' });
      await publish(channel, queue, [
        ['1', undefined],
        ['2', undefined],
      ]);
      await channel.deliveries(1);
      await second.nothing();
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.deliveries(1);
    },
  },
  {
    name: 'the first consumer is the single active one, and of those that wait the one of the highest priority follows',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-single-active-consumer': true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'high', arguments: { 'x-priority': 10 } });
      await channel.call('basic.consume', { queue, consumerTag: 'higher', arguments: { 'x-priority': 20 } });
      await publish(channel, queue, [['1', undefined]]);
      await channel.deliveries(1);
      await channel.call('basic.cancel', { consumerTag: 'first' });
      await publish(channel, queue, [['2', undefined]]);
      await channel.deliveries(1);
    },
  },
  {
    name: 'a queue with a single active consumer has no exclusive ones',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-single-active-consumer': true });
      await channel.call('basic.consume', { queue, consumerTag: 'c', exclusive: true });
    },
  },
  {
    name: 'getting from a queue with a single active consumer is allowed',
    async run(script) {
      const { channel, queue } = await declared(script, { 'x-single-active-consumer': true });
      await publish(channel, queue, [['1', undefined]]);
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
];

async function declared(script: Script, args: { readonly [name: string]: Plain }) {
  const connection = await script.connect();
  const channel = await connection.channel(1);
  const queue = script.name('q');
  await channel.call('queue.declare', { queue, arguments: args });
  return { connection, channel, queue };
}

type Message = readonly [body: string, priority: number | undefined];

async function publish(channel: ScriptChannel, queue: string, messages: readonly Message[]): Promise<void> {
  await channel.call('confirm.select');
  for (const [body, priority] of messages) {
    channel.publish({ routingKey: queue, properties: priority === undefined ? {} : { priority }, body });
  }
  await channel.confirms(messages.length);
}
