import type { Scenario } from '../script';
import type { ScriptChannel } from '../script-connection';
import { publishConfirmed, withQuorumQueue } from '../with-queue';

/** Quorum queues: who gets their messages, how often, and in which order. */

const LIMIT_OF_LATER_RELEASES = '3.10 and 3.13: there is no delivery limit unless one is asked for; 4.x: it is 20';

export const quorumDeliveries: Scenario[] = [
  {
    name: 'messages come in their order, and priorities mean nothing',
    follows: '3.10 and 3.13: one order; 4.x: two priorities, above 4 and the others',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      channel.publish({ routingKey: queue, properties: { priority: 0 }, body: '1' });
      channel.publish({ routingKey: queue, properties: { priority: 9 }, body: '2' });
      await channel.confirms(2);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(2);
    },
  },
  {
    name: 'a redelivered message has a delivery count, one that a consumer gets first has none',
    follows: LIMIT_OF_LATER_RELEASES,
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1']);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      for (let round = 1; round <= 3; round += 1) {
        await channel.deliveries(1);
        channel.cast('basic.nack', { deliveryTag: round, requeue: true });
      }
      await channel.deliveries(1);
    },
  },
  {
    name: 'the delivery count stands beside the headers of the message',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      const headers = { zebra: 1, apple: 'a' };
      channel.publish({ routingKey: queue, properties: { headers, messageId: 'm1' } });
      await channel.confirms(1);
      await channel.call('basic.get', { queue });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await settled(channel, queue);
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a delivery count of the publisher’s own is there until the first redelivery',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      channel.publish({ routingKey: queue, properties: { headers: { 'x-delivery-count': 'mine' } } });
      await channel.confirms(1);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.deliveries(1);
    },
  },
  {
    name: 'a message that came with the end of a channel back has a delivery count too',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1', '2']);
      const other = await channel.connection.channel(2);
      await other.call('basic.consume', { queue, consumerTag: 'c' });
      await other.deliveries(2);
      await other.call('channel.close', { replyCode: 200 });
      await channel.call('basic.consume', { queue, consumerTag: 'd' });
      await channel.deliveries(2);
    },
  },
  {
    name: 'messages of a consumer that is cancelled stay with their channel',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1']);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(1);
      await channel.call('basic.cancel', { consumerTag: 'c' });
      await channel.call('basic.consume', { queue, consumerTag: 'd' });
      await channel.nothing();
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.deliveries(1);
    },
  },
  {
    name: 'what comes back from getting is delivered after what waited then, in the order of its return',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1', '2', '3', '4']);
      for (let tag = 1; tag <= 3; tag += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.reject', { deliveryTag: 2, requeue: true });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await settled(channel, queue);
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'several that come back at once keep their order, behind one that the consumer had room for',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1', '2', '3']);
      await channel.call('basic.qos', { prefetchCount: 2 });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(2);
      channel.cast('basic.nack', { deliveryTag: 2, multiple: true, requeue: true });
      await channel.deliveries(2);
      channel.cast('basic.ack', { deliveryTag: 4, multiple: true });
      await channel.deliveries(1);
    },
  },
  {
    name: 'with a delivery limit what comes back goes before what waits',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-delivery-limit': 5 });
      await publishConfirmed(channel, queue, ['1', '2', '3', '4']);
      for (let tag = 1; tag <= 3; tag += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.reject', { deliveryTag: 2, requeue: true });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await settled(channel, queue);
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'with a delivery limit several that come back at once keep their order',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-delivery-limit': 5 });
      await publishConfirmed(channel, queue, ['1', '2', '3', '4']);
      for (let tag = 1; tag <= 3; tag += 1) await channel.call('basic.get', { queue });
      channel.cast('basic.nack', { deliveryTag: 3, multiple: true, requeue: true });
      await settled(channel, queue);
      for (let count = 0; count < 4; count += 1) await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'what a connection held comes back in its order when it is gone',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1', '2', '3']);
      const gone = await script.connect();
      const holder = await gone.channel(1);
      await holder.call('basic.get', { queue });
      await holder.call('basic.get', { queue });
      await gone.control.call('connection.close', { replyCode: 200 });
      await settled(channel, queue);
      for (let count = 0; count < 3; count += 1) await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'acknowledgements of several at once make room for as many',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.qos', { prefetchCount: 2 });
      await publishConfirmed(channel, queue, ['1', '2', '3', '4']);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(2);
      await channel.nothing();
      channel.cast('basic.ack', { deliveryTag: 2, multiple: true });
      await channel.deliveries(2);
    },
  },
  {
    name: 'consumers of a quorum queue take turns',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      for (const consumerTag of ['a', 'b', 'c']) await channel.call('basic.consume', { queue, consumerTag });
      for (const body of ['1', '2', '3', '4']) {
        await publishConfirmed(channel, queue, [body]);
        await channel.deliveries(1);
      }
    },
  },
  {
    name: 'an unknown delivery tag closes the channel, and what it held comes back',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1']);
      const other = await channel.connection.channel(2);
      await other.call('basic.get', { queue });
      other.cast('basic.ack', { deliveryTag: 7 });
      await other.receive('channel.close');
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(1);
    },
  },
  {
    name: 'transactions hold back what is published to a quorum queue, and what is settled of it',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue, durable: true, arguments: { 'x-queue-type': 'quorum' } });
      await channel.call('tx.select');
      channel.publish({ routingKey: queue });
      await channel.call('tx.commit');
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(1);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('tx.rollback');
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('tx.commit');
      await channel.deliveries(1);
    },
  },
  {
    name: 'recover brings all back',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1', '2']);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(2);
      await channel.call('basic.recover', { requeue: true });
      await channel.deliveries(2);
    },
  },
  {
    name: 'one consumer of a quorum queue with a single active one gets all, then the next',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-single-active-consumer': true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      await publishConfirmed(channel, queue, ['1', '2']);
      await channel.deliveries(2);
      channel.cast('basic.ack', { deliveryTag: 2, multiple: true });
      await channel.call('basic.cancel', { consumerTag: 'first' });
      await publishConfirmed(channel, queue, ['3']);
      await channel.deliveries(1);
    },
  },
  {
    name: 'what the single active consumer held goes to the next when its channel ends',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-single-active-consumer': true });
      const first = await channel.connection.channel(2);
      await first.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      await publishConfirmed(channel, queue, ['1', '2']);
      await first.deliveries(2);
      await first.call('channel.close', { replyCode: 200 });
      await channel.deliveries(2);
    },
  },
  {
    name: 'a single active consumer that is cancelled gives its place to the first that came, whatever the priorities',
    follows: '3.10: the first that came is next; 4.x: the one of the highest priority, and it takes over at once',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-single-active-consumer': true });
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await channel.call('basic.consume', { queue, consumerTag: 'second' });
      await channel.call('basic.consume', { queue, consumerTag: 'high', arguments: { 'x-priority': 10 } });
      await channel.call('basic.cancel', { consumerTag: 'first' });
      await publishConfirmed(channel, queue, ['1']);
      await channel.deliveries(1);
    },
  },
  {
    name: 'nobody gets from a quorum queue with a single active consumer',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script, { 'x-single-active-consumer': true });
      await publishConfirmed(channel, queue, ['1']);
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a consumer of a higher priority comes first',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.qos', { prefetchCount: 1 });
      await channel.call('basic.consume', { queue, consumerTag: 'low' });
      await channel.call('basic.consume', { queue, consumerTag: 'high', arguments: { 'x-priority': 10 } });
      for (const body of ['1', '2']) await publishConfirmed(channel, queue, [body]);
      await channel.deliveries(2);
    },
  },
  {
    name: 'getting from a quorum queue counts what remains',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.get', { queue });
      await publishConfirmed(channel, queue, ['1', '2', '3']);
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a consumer without acknowledgements of a quorum queue settles by taking',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await publishConfirmed(channel, queue, ['1', '2']);
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await channel.deliveries(2);
      await settled(channel, queue);
      await channel.call('queue.delete', { queue });
    },
  },
];

/** A quorum queue takes an acknowledgement later than the next question: something that it confirms comes in between. */
async function settled(channel: ScriptChannel, queue: string): Promise<void> {
  await publishConfirmed(channel, queue, ['after']);
}
