import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';

/** Direct reply-to: a consumer of `amq.rabbitmq.reply-to` gets the answers to what its channel publishes. */

const REPLY_TO = 'amq.rabbitmq.reply-to';

export const directReplies: Scenario[] = [
  {
    name: 'a request carries an address, and what is published there reaches the requester',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      worker.publish({ routingKey: address, properties: { correlationId: 'c1', headers: { n: 1 } }, body: 'reply' });
      await requester.deliveries(1);
    },
  },
  {
    name: 'an address holds for many replies and from any connection',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      for (const body of ['first', 'second']) worker.publish({ routingKey: address, body });
      await requester.deliveries(2);
      (await script.open()).publish({ routingKey: address, body: 'third' });
      await requester.deliveries(1);
    },
  },
  {
    name: 'every request of a channel carries the same address',
    async run(script) {
      const { requester, queue } = await requested(script);
      requester.publish({ routingKey: queue, properties: { replyTo: REPLY_TO } });
      await requester.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'channels of one connection have addresses of their own',
    async run(script) {
      const { requester, worker, queue, address } = await requested(script);
      const other = await requester.connection.channel(2);
      await other.call('basic.consume', { queue: REPLY_TO, consumerTag: 'other', noAck: true });
      other.publish({ routingKey: queue, properties: { replyTo: REPLY_TO } });
      await other.connection.settle();
      const request = await worker.call('basic.get', { queue, noAck: true });
      worker.publish({ routingKey: request?.properties?.replyTo ?? '', body: 'for the other' });
      worker.publish({ routingKey: address, body: 'for the first' });
      await other.deliveries(1);
      await requester.deliveries(1);
    },
  },
  {
    name: 'another reply address goes through unchanged',
    async run(script) {
      const { channel, queue } = await replyConsumer(script);
      for (const replyTo of ['replies', `${REPLY_TO}.of-somebody`, '']) {
        channel.publish({ routingKey: queue, properties: { replyTo } });
        await channel.call('basic.get', { queue, noAck: true });
      }
    },
  },
  {
    name: 'a reply consumer must not acknowledge',
    async run(script) {
      const channel = await script.open();
      await channel.call('basic.consume', { queue: REPLY_TO, consumerTag: 'tag' });
    },
  },
  {
    name: 'a channel has one reply consumer',
    async run(script) {
      const { channel } = await replyConsumer(script);
      await channel.call('basic.consume', { queue: REPLY_TO, consumerTag: 'second', noAck: true });
    },
  },
  {
    name: 'a second reply consumer that would acknowledge is told of the first fault checked',
    async run(script) {
      const { channel } = await replyConsumer(script);
      await channel.call('basic.consume', { queue: REPLY_TO, consumerTag: 'second' });
    },
  },
  {
    name: 'a reply consumer with the tag of another consumer ends the connection',
    async run(script) {
      const { channel, queue } = await replyConsumer(script);
      await channel.call('basic.consume', { queue, consumerTag: 'tag' });
      await channel.call('basic.consume', { queue: REPLY_TO, consumerTag: 'tag', noAck: true });
      await channel.connection.hungUp();
    },
  },
  {
    name: 'another consumer may have the tag of the reply consumer, and one cancel ends one of them',
    async run(script) {
      const { channel, queue } = await replyConsumer(script);
      await channel.call('basic.consume', { queue, consumerTag: 'replies' });
      channel.publish({ routingKey: queue, properties: { replyTo: REPLY_TO } });
      await channel.deliveries(1);
      await channel.call('basic.cancel', { consumerTag: 'replies' });
      channel.publish({ routingKey: queue, body: 'no request' });
      await channel.deliveries(1);
      channel.publish({ routingKey: queue, properties: { replyTo: REPLY_TO } });
      await channel.next();
    },
  },
  {
    name: 'a second reply consumer with the tag of the first is told of the consumer',
    async run(script) {
      const { channel } = await replyConsumer(script);
      await channel.call('basic.consume', { queue: REPLY_TO, consumerTag: 'replies', noAck: true });
    },
  },
  {
    name: 'a reply consumer may leave its tag to the broker, ask for no answer, and want to be exclusive',
    async run(script) {
      const channel = await script.open();
      await channel.call('basic.consume', { queue: REPLY_TO, noAck: true, exclusive: true });
      const other = await channel.connection.channel(2);
      await other.call('basic.consume', { queue: REPLY_TO, consumerTag: 'tag', noAck: true, nowait: true });
      await other.nothing();
    },
  },
  {
    name: 'a request without a reply consumer closes the channel',
    async run(script) {
      const channel = await script.open();
      channel.publish({ routingKey: script.name('q'), properties: { replyTo: REPLY_TO } });
      await channel.next();
    },
  },
  {
    name: 'a request on another channel than that of the reply consumer closes it',
    async run(script) {
      const { channel, queue } = await replyConsumer(script);
      const other = await channel.connection.channel(2);
      other.publish({ routingKey: queue, properties: { replyTo: REPLY_TO } });
      await other.next();
    },
  },
  {
    name: 'a reply consumer may be cancelled and come again, with another address',
    async run(script) {
      const { requester, worker, queue, address } = await requested(script);
      await requester.call('basic.cancel', { consumerTag: 'replies' });
      worker.publish({ routingKey: address, body: 'late' });
      await worker.connection.settle();
      await requester.nothing();
      await requester.call('basic.consume', { queue: REPLY_TO, consumerTag: 'again', noAck: true });
      requester.publish({ routingKey: queue, properties: { replyTo: REPLY_TO } });
      await requester.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'after the cancel of its reply consumer a channel cannot send requests',
    async run(script) {
      const { channel, queue } = await replyConsumer(script);
      await channel.call('basic.cancel', { consumerTag: 'replies' });
      channel.publish({ routingKey: queue, properties: { replyTo: REPLY_TO } });
      await channel.next();
    },
  },
  {
    name: 'a reply has the tag of the next delivery and does not use it up',
    async run(script) {
      const { requester, worker, address, queue } = await requested(script);
      for (const body of ['m1', 'm2']) {
        requester.publish({ routingKey: queue, body });
        await requester.call('basic.get', { queue });
        worker.publish({ routingKey: address, body: `reply to ${body}` });
        await requester.deliveries(1);
      }
      requester.cast('basic.ack', { deliveryTag: 2 });
      requester.cast('basic.ack', { deliveryTag: 3 });
      await requester.next();
    },
  },
  {
    name: 'a prefetch does not hold replies back',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      await requester.call('basic.qos', { prefetchCount: 1, global: true });
      for (const body of ['first', 'second', 'third']) worker.publish({ routingKey: address, body });
      await requester.deliveries(3);
    },
  },
  {
    name: 'a reply is confirmed, and comes back when it is mandatory',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      await worker.call('confirm.select');
      worker.publish({ routingKey: address, body: 'plain' });
      await worker.next();
      worker.publish({ routingKey: address, body: 'mandatory', mandatory: true });
      await worker.next(2);
      await requester.deliveries(2);
    },
  },
  {
    name: 'a reply to one who has left is dropped, and comes back when it is mandatory',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      await requester.connection.control.call('connection.close', { replyCode: 200 });
      worker.publish({ routingKey: address, body: 'plain' });
      worker.publish({ routingKey: address, body: 'mandatory', mandatory: true });
      await worker.next();
      await worker.nothing();
    },
  },
  {
    name: 'a reply waits for no commit and outlives a rollback',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      await worker.call('tx.select');
      worker.publish({ routingKey: address, body: 'rolled back', mandatory: true });
      await requester.deliveries(1);
      await worker.call('tx.rollback');
      worker.publish({ routingKey: address, body: 'committed', mandatory: true });
      await requester.deliveries(1);
      worker.cast('tx.commit');
      await worker.next(2);
    },
  },
  {
    name: 'a copy reaches a reply address as well, once',
    async run(script) {
      const { requester, worker, address, queue } = await requested(script);
      const headers = { CC: [address, address] };
      worker.publish({ routingKey: queue, properties: { headers }, body: 'copied' });
      await requester.deliveries(1);
      await worker.call('basic.get', { queue, noAck: true });
      await requester.nothing();
    },
  },
  {
    name: 'a dead letter reaches a reply address',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      const mortal = script.name('mortal');
      const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': address };
      await worker.call('queue.declare', { queue: mortal, arguments: args });
      worker.publish({ routingKey: mortal });
      await worker.call('basic.get', { queue: mortal });
      worker.cast('basic.reject', { deliveryTag: 2 });
      await requester.deliveries(1);
    },
  },
  {
    name: 'an address works through the default exchange only',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      worker.publish({ exchange: 'amq.direct', routingKey: address, mandatory: true });
      await worker.next();
      await requester.nothing();
    },
  },
  {
    name: 'a passive declare finds a requester that is there, and closes the channel for one that is not',
    async run(script) {
      const { requester, worker, address } = await requested(script);
      await worker.call('queue.declare', { queue: address, passive: true });
      await requester.call('channel.close', { replyCode: 200 });
      await worker.call('queue.declare', { queue: address, passive: true });
    },
  },
  {
    name: 'a declare of a reply address looks for its requester too',
    async run(script) {
      const { worker, address } = await requested(script);
      await worker.call('queue.declare', { queue: address, durable: true, arguments: { 'x-max-length': 1 } });
      await worker.call('queue.declare', { queue: `${REPLY_TO}.nobody` });
    },
  },
  {
    name: 'a declare of the reply queue itself is always answered',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { queue: REPLY_TO, passive: true });
      await channel.call('queue.declare', { queue: REPLY_TO, durable: true });
      await channel.call('basic.consume', { noAck: true, consumerTag: 'tag' });
    },
  },
  {
    name: 'an address that was made up belongs to nobody',
    async run(script) {
      for (const suffix of ['', 'x', 'a.b.c']) {
        const channel = await script.open();
        channel.publish({ routingKey: `${REPLY_TO}.${suffix}`, mandatory: true });
        await channel.next();
        await channel.call('queue.declare', { queue: `${REPLY_TO}.${suffix}`, passive: true });
      }
    },
  },
  {
    name: 'an address that was made up in the form of a true one ends the connection',
    async run(script) {
      for (const suffix of ['a.b', 'Zm9v.YmFy', '..a.b.']) {
        const publisher = await script.open();
        publisher.publish({ routingKey: `${REPLY_TO}.${suffix}` });
        await publisher.next();
        await (await script.open()).call('queue.declare', { queue: `${REPLY_TO}.${suffix}`, passive: true });
      }
    },
  },
  {
    name: 'the reply queue can be neither read, emptied, bound nor deleted',
    async run(script) {
      const gets = async (channel: ScriptChannel) => channel.call('basic.get', { queue: REPLY_TO });
      const purges = async (channel: ScriptChannel) => channel.call('queue.purge', { queue: REPLY_TO });
      const binds = async (channel: ScriptChannel) =>
        channel.call('queue.bind', { queue: REPLY_TO, exchange: 'amq.fanout' });
      const deletes = async (channel: ScriptChannel) => channel.call('queue.delete', { queue: REPLY_TO });
      for (const attempt of [gets, purges, binds, deletes]) {
        const { channel } = await replyConsumer(script);
        await attempt(channel);
      }
    },
  },
  {
    name: 'an address cannot be consumed',
    async run(script) {
      const { worker, address } = await requested(script);
      await worker.call('basic.consume', { queue: address, consumerTag: 'tag', noAck: true });
    },
  },
];

/** A channel that consumes replies, and a queue for its requests. */
async function replyConsumer(script: Script): Promise<{ channel: ScriptChannel; queue: string }> {
  const channel = await script.open();
  const queue = script.name('requests');
  await channel.call('queue.declare', { queue });
  await channel.call('basic.consume', { queue: REPLY_TO, consumerTag: 'replies', noAck: true });
  return { channel, queue };
}

/** One who asked, and one who has read the request and with it the address. */
async function requested(script: Script): Promise<{
  requester: ScriptChannel;
  worker: ScriptChannel;
  queue: string;
  address: string;
}> {
  const { channel: requester, queue } = await replyConsumer(script);
  const properties = { replyTo: REPLY_TO, correlationId: 'c1', type: 'question', headers: { n: 1 } };
  requester.publish({ routingKey: queue, properties, body: 'request' });
  const worker = await script.open();
  // The broker may still be busy with the request when the worker asks for it.
  await requester.connection.settle();
  const request = await worker.call('basic.get', { queue, noAck: true });
  return { requester, worker, queue, address: request?.properties?.replyTo ?? '' };
}
