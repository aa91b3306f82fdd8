import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';

/** Publisher confirms: what is confirmed, how, and in which order against what else the publisher is told. */

export const confirms: Scenario[] = [
  {
    name: 'a message that a queue takes is confirmed',
    async run(script) {
      const { channel, queue } = await confirming(script);
      channel.publish({ routingKey: queue });
      await channel.next();
    },
  },
  {
    name: 'a message without a route is confirmed',
    async run(script) {
      const { channel } = await confirming(script);
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.next();
    },
  },
  {
    name: 'a mandatory message without a route comes back before it is confirmed',
    async run(script) {
      const { channel } = await confirming(script);
      channel.publish({ routingKey: script.name('nowhere'), mandatory: true });
      await channel.next(2);
    },
  },
  {
    name: 'a persistent message to a durable queue is confirmed',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('durable');
      await channel.call('queue.declare', { queue, durable: true });
      await channel.call('confirm.select');
      channel.publish({ routingKey: queue, properties: { deliveryMode: 2 } });
      await channel.next();
    },
  },
  {
    name: 'publishes are numbered from the select, in which those before do not count',
    async run(script) {
      const channel = await script.open();
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.call('confirm.select');
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.next();
    },
  },
  {
    name: 'a second select changes nothing',
    async run(script) {
      const { channel, queue } = await confirming(script);
      channel.publish({ routingKey: queue });
      await channel.confirms(1);
      await channel.call('confirm.select');
      channel.publish({ routingKey: queue });
      await channel.next();
    },
  },
  {
    name: 'a select with nowait has no answer and works',
    async run(script) {
      const channel = await script.open();
      await channel.call('confirm.select', { nowait: true });
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.next();
    },
  },
  {
    name: 'many publishes are confirmed each exactly once',
    async run(script) {
      const { channel, queue } = await confirming(script);
      for (let index = 0; index < 30; index += 1) {
        const routingKey = index % 3 === 0 ? script.name('nowhere') : queue;
        channel.publish({ routingKey, body: String(index) });
      }
      await channel.confirms(30);
      await channel.nothing();
    },
  },
  {
    name: 'channels of one connection number their publishes apart',
    async run(script) {
      const connection = await script.connect();
      const [first, second] = [await connection.channel(1), await connection.channel(2)];
      for (const channel of [first, second]) await channel.call('confirm.select');
      first.publish({ routingKey: script.name('nowhere') });
      await first.next();
      first.publish({ routingKey: script.name('nowhere') });
      await first.next();
      second.publish({ routingKey: script.name('nowhere') });
      await second.next();
    },
  },
  {
    name: 'a channel that is opened again numbers its publishes from one',
    async run(script) {
      const { channel } = await confirming(script);
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.next();
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('confirm.select');
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.next();
    },
  },
  {
    name: 'a channel that is opened again confirms nothing unasked',
    async run(script) {
      const { channel } = await confirming(script);
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.nothing();
    },
  },
  {
    name: 'a message that several queues take is confirmed once',
    async run(script) {
      const { channel, queue } = await confirming(script);
      const other = script.name('other');
      await channel.call('queue.declare', { queue: other });
      channel.publish({ routingKey: queue, properties: { headers: { CC: [other] } } });
      await channel.confirms(1);
      await channel.nothing();
    },
  },
  {
    name: 'a message that a full queue refuses is not acknowledged',
    async run(script) {
      const { channel, queue } = await confirming(script, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
      channel.publish({ routingKey: queue, body: 'kept' });
      await channel.next();
      channel.publish({ routingKey: queue, body: 'refused' });
      await channel.next();
      await channel.call('basic.get', { queue, noAck: true });
      channel.publish({ routingKey: queue, body: 'kept again' });
      await channel.next();
    },
  },
  {
    name: 'a mandatory message that a full queue refuses does not come back',
    async run(script) {
      const { channel, queue } = await confirming(script, { 'x-max-length': 0, 'x-overflow': 'reject-publish' });
      channel.publish({ routingKey: queue, mandatory: true });
      await channel.next();
      await channel.nothing();
    },
  },
  {
    name: 'a message that one of its queues refuses is not acknowledged, and is in the others',
    async run(script) {
      const { channel, queue } = await confirming(script, { 'x-max-length': 0, 'x-overflow': 'reject-publish' });
      const other = script.name('other');
      await channel.call('queue.declare', { queue: other });
      for (const [routingKey, copy] of [
        [queue, other],
        [other, queue],
      ] as const) {
        channel.publish({ routingKey, properties: { headers: { CC: [copy] } } });
        await channel.next();
        await channel.call('basic.get', { queue: other, noAck: true });
      }
    },
  },
  {
    name: 'a message that pushes an older one out of a full queue is acknowledged',
    async run(script) {
      const { channel, queue } = await confirming(script, { 'x-max-length': 1 });
      for (const body of ['older', 'newer']) {
        channel.publish({ routingKey: queue, body });
        await channel.next();
      }
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a message that lives for no time is acknowledged',
    async run(script) {
      const { channel, queue } = await confirming(script);
      channel.publish({ routingKey: queue, properties: { expiration: '0' } });
      await channel.next();
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a transient message is confirmed before its consumer has acknowledged it',
    async run(script) {
      const { channel, queue } = await confirming(script);
      const consumer = await script.open();
      await consumer.call('basic.consume', { queue, consumerTag: 'tag' });
      channel.publish({ routingKey: queue });
      await consumer.deliveries(1);
      await channel.next();
      consumer.cast('basic.ack', { deliveryTag: 1 });
      await consumer.nothing();
    },
  },
  {
    name: 'a message to a queue that is gone is confirmed',
    async run(script) {
      const { channel, queue } = await confirming(script);
      await channel.call('queue.delete', { queue });
      channel.publish({ routingKey: queue });
      await channel.next();
    },
  },
  {
    name: 'a message that is dead-lettered at once is confirmed',
    async run(script) {
      const dead = script.name('dead');
      const { channel, queue } = await confirming(script, {
        'x-message-ttl': 0,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': dead,
      });
      await channel.call('queue.declare', { queue: dead });
      await channel.call('basic.consume', { queue: dead, consumerTag: 'tag', noAck: true });
      channel.publish({ routingKey: queue });
      await channel.confirms(1);
      await channel.deliveries(1);
    },
  },
  {
    name: 'a refused publish is not confirmed: its channel closes',
    async run(script) {
      const { channel } = await confirming(script);
      channel.publish({ routingKey: script.name('nowhere') });
      await channel.next();
      channel.publish({ exchange: script.name('missing'), routingKey: 'key' });
      await channel.next();
      await channel.nothing();
    },
  },
  {
    name: 'acknowledgements of a client on a confirming channel are those of its deliveries',
    async run(script) {
      const { channel, queue } = await confirming(script);
      channel.publish({ routingKey: queue });
      await channel.confirms(1);
      await channel.call('basic.get', { queue });
      channel.cast('basic.ack', { deliveryTag: 1 });
      channel.cast('basic.ack', { deliveryTag: 1 });
      await channel.next();
    },
  },
  {
    name: 'a confirming channel cannot become transactional',
    async run(script) {
      const { channel } = await confirming(script);
      await channel.call('tx.select');
    },
  },
  {
    name: 'a transactional channel cannot become a confirming one',
    async run(script) {
      const channel = await script.open();
      await channel.call('tx.select');
      await channel.call('confirm.select');
    },
  },
  {
    name: 'a confirming channel has no transaction to commit or roll back',
    async run(script) {
      for (const method of ['tx.commit', 'tx.rollback'] as const) {
        const { channel } = await confirming(script);
        await channel.call(method);
      }
    },
  },
];

/** A channel in confirm mode and a queue. */
async function confirming(
  script: Script,
  args: { readonly [name: string]: string | number } = {},
): Promise<{ channel: ScriptChannel; queue: string }> {
  const channel = await script.open();
  const queue = script.name('q');
  await channel.call('queue.declare', { queue, arguments: args });
  await channel.call('confirm.select');
  return { channel, queue };
}
