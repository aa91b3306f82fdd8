import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import type { Plain } from '../values';
import { publishConfirmed, withQuorumQueue } from '../with-queue';

/** Quorum queues: the limits of deliveries, time and length, and their dead letters. */

export const quorumLimits: Scenario[] = [
  {
    name: 'a message is delivered once more than its delivery limit and then dead',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-delivery-limit': 2 });
      await publishConfirmed(channel, queue, ['1']);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      for (let round = 1; round <= 3; round += 1) {
        await channel.deliveries(1);
        channel.cast('basic.nack', { deliveryTag: round, requeue: true });
      }
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a delivery limit of 0 lets nothing come back',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-delivery-limit': 0 });
      await publishConfirmed(channel, queue, ['1']);
      await channel.call('basic.get', { queue });
      channel.cast('basic.nack', { deliveryTag: 1, requeue: true });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'deliveries to channels that end count for the limit',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-delivery-limit': 1 });
      await publishConfirmed(channel, queue, ['1']);
      for (const number of [2, 3]) {
        const other = await channel.connection.channel(number);
        await other.call('basic.consume', { queue, consumerTag: 'c' });
        await other.deliveries(1);
        await other.call('channel.close', { replyCode: 200 });
      }
      await letters(channel, script, 1);
    },
  },
  {
    name: 'without a dead letter exchange what reaches the delivery limit is gone',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-delivery-limit': 1 });
      await publishConfirmed(channel, queue, ['1', '2']);
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(1);
      channel.cast('basic.nack', { deliveryTag: 1, requeue: true });
      await channel.deliveries(1);
      channel.cast('basic.nack', { deliveryTag: 2, requeue: true });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a rejected message is a dead letter with what it was delivered',
    async run(script) {
      const { channel, queue } = await mortal(script);
      await publishConfirmed(channel, queue, ['1', '2']);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(2);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 3 });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a message of a quorum queue expires by its own time to live and by the queue’s',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-message-ttl': 200 });
      await publishConfirmed(channel, queue, ['by the queue']);
      await letters(channel, script, 1);
      channel.publish({ routingKey: queue, properties: { expiration: '50' }, body: 'by itself' });
      await channel.confirms(1);
      await channel.deliveries(1);
    },
  },
  {
    name: 'a quorum queue that gives no time to live hands over to a consumer that waits',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-message-ttl': 0 });
      await publishConfirmed(channel, queue, ['dead']);
      await letters(channel, script, 1);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      channel.publish({ routingKey: queue, body: 'delivered' });
      await channel.deliveries(1);
      await channel.confirms(1);
    },
  },
  {
    name: 'a message expires once it is the first and nobody has room for it',
    async run(script) {
      const { channel, queue } = await mortal(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await publishConfirmed(channel, queue, ['held']);
      await channel.deliveries(1);
      channel.publish({ routingKey: queue, properties: { expiration: '100' }, body: 'expires' });
      await channel.confirms(1);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a quorum queue for no messages dead-letters all of them',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-max-length': 0 });
      await publishConfirmed(channel, queue, ['1', '2']);
      await letters(channel, script, 2);
    },
  },
  {
    name: 'a letter from a quorum queue keeps the keys and headers of the message',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, {
        'x-dead-letter-exchange': 'amq.fanout',
        'x-max-length': 0,
      });
      const dead = script.name('dead');
      await channel.call('queue.declare', { queue: dead });
      await channel.call('queue.bind', { queue: dead, exchange: 'amq.fanout' });
      const headers = { zebra: 1, CC: ['copy'], BCC: ['hidden'] };
      channel.publish({ routingKey: queue, properties: { headers, messageId: 'm1', deliveryMode: 1 } });
      await channel.confirms(1);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'letters of a quorum queue for an exchange that is not there are lost',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, {
        'x-dead-letter-exchange': script.name('dlx'),
        'x-max-length': 1,
      });
      await publishConfirmed(channel, queue, ['lost', 'kept']);
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a quorum queue that is full drops its head',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-max-length': 2 });
      await publishConfirmed(channel, queue, ['1', '2', '3']);
      await letters(channel, script, 1);
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a quorum queue of so many bytes drops its head',
    async run(script) {
      const { channel, queue } = await mortal(script, { 'x-max-length-bytes': 10 });
      await publishConfirmed(channel, queue, ['12345', '67890', 'abcde']);
      await letters(channel, script, 1);
    },
  },
  {
    name: 'a quorum queue that refuses says so with a nack, after the one that reaches the limit',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
      for (const body of ['1', '2']) await publishConfirmed(channel, queue, [body]);
      await script.elapse(300);
      await publishConfirmed(channel, queue, ['3']);
      await channel.call('queue.purge', { queue });
      await script.elapse(300);
      await publishConfirmed(channel, queue, ['4']);
    },
  },
  {
    name: 'what remains after getting with acknowledgement counts what has expired, without it does not',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      for (const noAck of [false, true]) {
        await publishConfirmed(channel, queue, ['lives']);
        channel.publish({ routingKey: queue, properties: { expiration: '100' } });
        await channel.confirms(1);
        await script.elapse(800);
        await channel.call('basic.get', { queue, noAck });
        await channel.call('basic.get', { queue, noAck });
      }
    },
  },
  {
    name: 'at-least-once dead-lettering delivers its letters as the other does',
    async run(script) {
      const { channel, queue } = await mortal(script, {
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
      });
      await publishConfirmed(channel, queue, ['1']);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 1 });
      await letters(channel, script, 1);
    },
  },
  {
    name: 'deaths in quorum queues are counted as those in classic ones',
    async run(script) {
      const channel = await script.open();
      const [work, wait] = [script.name('work'), script.name('wait')];
      const to = (queue: string) => ({ 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': queue });
      const type = { 'x-queue-type': 'quorum' };
      await channel.call('queue.declare', { queue: work, durable: true, arguments: { ...type, ...to(wait) } });
      const waiting = { ...type, ...to(work), 'x-message-ttl': 100 };
      await channel.call('queue.declare', { queue: wait, durable: true, arguments: waiting });
      await channel.call('basic.consume', { queue: work, consumerTag: 'work' });
      channel.publish({ routingKey: work });
      for (let round = 1; round <= 2; round += 1) {
        await channel.deliveries(1);
        channel.cast('basic.reject', { deliveryTag: round });
      }
      await channel.deliveries(1);
    },
  },
  {
    name: 'messages that expire round two quorum queues are dropped',
    async run(script) {
      const channel = await script.open();
      const [one, two] = [script.name('one'), script.name('two')];
      const args = (queue: string) => ({
        'x-queue-type': 'quorum',
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': queue,
        'x-message-ttl': 50,
      });
      await channel.call('queue.declare', { queue: one, durable: true, arguments: args(two) });
      await channel.call('queue.declare', { queue: two, durable: true, arguments: args(one) });
      channel.publish({ routingKey: one });
      await script.elapse(1500);
      await channel.call('basic.get', { queue: one });
      await channel.call('basic.get', { queue: two });
    },
  },
  {
    name: 'one that refuses keeps refusing until it has emptied to four fifths',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-max-length': 5, 'x-overflow': 'reject-publish' });
      await publishConfirmed(channel, queue, ['1', '2', '3', '4', '5', '6']);
      await script.elapse(300);
      await publishConfirmed(channel, queue, ['refused']);
      for (let taken = 0; taken < 3; taken += 1) {
        await channel.call('basic.get', { queue, noAck: true });
        await script.elapse(300);
        await publishConfirmed(channel, queue, [`after ${taken + 1}`]);
      }
    },
  },
];

/** Its letters go to the queue `dead`. */
async function mortal(script: Script, args: { readonly [name: string]: Plain } = {}) {
  const dead = script.name('dead');
  const made = await withQuorumQueue(script, {
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': dead,
    ...args,
  });
  await made.channel.call('queue.declare', { queue: dead });
  return made;
}

async function letters(channel: ScriptChannel, script: Script, count: number): Promise<void> {
  await channel.call('basic.consume', { queue: script.name('dead'), consumerTag: 'dead', noAck: true });
  await channel.deliveries(count);
}
