import type { Scenario, Script } from '../script';
import type { Plain } from '../values';
import { withQuorumQueue } from '../with-queue';

/** Quorum queues: what may be declared and done, and with which words the rest is refused. */

export const quorum: Scenario[] = [
  {
    name: 'a quorum queue is durable, not exclusive, not deleted automatically and has a name of the client’s',
    async run(script) {
      const connection = await script.connect();
      const args = { 'x-queue-type': 'quorum' };
      const queue = script.name('q');
      await (await connection.channel(1)).call('queue.declare', { queue, arguments: args });
      await (await connection.channel(2)).call('queue.declare', {
        queue,
        durable: true,
        autoDelete: true,
        arguments: args,
      });
      await (await connection.channel(3)).call('queue.declare', {
        queue,
        durable: true,
        exclusive: true,
        arguments: args,
      });
      await (await connection.channel(4)).call('queue.declare', {
        queue,
        autoDelete: true,
        exclusive: true,
        arguments: args,
      });
      await (await connection.channel(5)).call('queue.declare', { queue: '', durable: true, arguments: args });
      await (await connection.channel(6)).call('queue.declare', { queue, durable: true, arguments: args });
    },
  },
  {
    name: 'a quorum queue refuses the arguments of classic ones',
    run: (script) =>
      declareEach(script, [
        { 'x-max-priority': 5 },
        { 'x-queue-mode': 'lazy' },
        { 'x-queue-version': 2 },
        { 'x-queue-master-locator': 'min-masters' },
        { 'x-max-age': '1h' },
        { 'x-stream-max-segment-size-bytes': 1000 },
        { 'x-initial-cluster-size': 1 },
        { 'x-mine': 1 },
      ]),
  },
  {
    name: 'a quorum queue takes reject-publish-dlx as it takes any overflow that there is',
    run: (script) =>
      declareEach(script, [
        { 'x-overflow': 'reject-publish-dlx' },
        { 'x-overflow': 'reject-publish' },
        { 'x-overflow': 'drop-head' },
        { 'x-overflow': 'other' },
      ]),
  },
  {
    name: 'the arguments of a quorum queue have their types and ranges',
    run: (script) =>
      declareEach(script, [
        { 'x-delivery-limit': 'three' },
        { 'x-delivery-limit': -1 },
        { 'x-delivery-limit': 0 },
        { 'x-message-ttl': -1 },
        { 'x-expires': 0 },
        { 'x-max-length': 'a' },
        { 'x-max-in-memory-length': -1 },
        { 'x-max-in-memory-bytes': true },
        { 'x-quorum-initial-group-size': 0 },
        { 'x-quorum-initial-group-size': 'a' },
        { 'x-queue-leader-locator': 'nowhere' },
        { 'x-queue-leader-locator': 'client-local' },
        { 'x-single-active-consumer': 1 },
        { 'x-dead-letter-routing-key': 'k' },
        { 'x-dead-letter-exchange': 1 },
        { 'x-dead-letter-strategy': 'sometimes' },
        { 'x-dead-letter-strategy': 5 },
        { 'x-dead-letter-strategy': 'at-most-once' },
      ]),
  },
  {
    name: 'a quorum queue declared again must have the same arguments',
    run: (script) =>
      declareAgain(script, { 'x-queue-type': 'quorum', 'x-delivery-limit': 3, 'x-max-length': 5 }, [
        { 'x-queue-type': 'quorum', 'x-delivery-limit': 3, 'x-max-length': 5 },
        { 'x-queue-type': 'quorum', 'x-delivery-limit': 4, 'x-max-length': 5 },
        { 'x-queue-type': 'quorum', 'x-max-length': 5 },
        { 'x-queue-type': 'quorum', 'x-delivery-limit': 3, 'x-max-length': 6 },
        { 'x-queue-type': 'quorum', 'x-delivery-limit': 3, 'x-max-length': 5, 'x-message-ttl': 1000 },
        { 'x-queue-type': 'quorum', 'x-delivery-limit': 3, 'x-max-length': 5, 'x-max-priority': 5 },
        { 'x-queue-type': 'quorum', 'x-delivery-limit': 3, 'x-max-length': 5, 'x-mine': 1 },
      ]),
  },
  {
    name: 'a queue keeps its type',
    async run(script) {
      await declareAgain(script, { 'x-queue-type': 'quorum' }, [
        {},
        { 'x-queue-type': 'classic' },
        { 'x-queue-type': 'other' },
      ]);
      await declareAgain(script, {}, [
        { 'x-queue-type': 'quorum' },
        { 'x-queue-type': 'classic' },
        { 'x-queue-type': 'quorum', 'x-delivery-limit': 3 },
      ]);
    },
  },
  {
    name: 'a quorum queue answers to a passive declare, a bind, a purge and a delete',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('queue.bind', { queue, exchange: 'amq.topic', routingKey: 'quorum.*' });
      channel.publish({ exchange: 'amq.topic', routingKey: 'quorum.a' });
      channel.publish({ routingKey: queue });
      await channel.confirms(2);
      await channel.call('queue.declare', { queue, passive: true });
      await channel.call('queue.unbind', { queue, exchange: 'amq.topic', routingKey: 'quorum.*' });
      await channel.call('queue.purge', { queue });
      await channel.call('queue.purge', { queue });
      channel.publish({ routingKey: queue });
      await channel.confirms(1);
      await channel.call('queue.delete', { queue });
      await channel.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a quorum queue is not deleted if unused or if empty',
    async run(script) {
      const { queue } = await withQuorumQueue(script);
      await (await script.open()).call('queue.delete', { queue, ifUnused: true });
      await (await script.open()).call('queue.delete', { queue, ifEmpty: true });
      await (await script.open()).call('queue.delete', { queue, ifUnused: true, ifEmpty: true });
      await (await script.open()).call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a deleted quorum queue cancels its consumers',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await (await channel.connection.channel(2)).call('queue.delete', { queue });
      await channel.receive('basic.cancel');
    },
  },
  {
    name: 'a channel with a global prefetch consumes from no quorum queue',
    follows: '3.10 and 3.13: global prefetch is there for classic queues; 4.x deprecates it',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.qos', { prefetchCount: 5, global: true });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
    },
  },
  {
    name: 'a global prefetch of a channel that consumes from a quorum queue already is taken',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.call('basic.qos', { prefetchCount: 5, global: true });
      channel.publish({ routingKey: queue });
      await channel.confirms(1);
      await channel.deliveries(1);
    },
  },
  {
    name: 'an exclusive consumer of a quorum queue is not alone',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'alone', exclusive: true });
      await (await channel.connection.channel(2)).call('basic.consume', { queue, consumerTag: 'other' });
      await (await channel.connection.channel(3)).call('basic.consume', {
        queue,
        consumerTag: 'other',
        exclusive: true,
      });
    },
  },
  {
    name: 'an exclusive consumer comes to a quorum queue that has another',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'first' });
      await (await channel.connection.channel(2)).call('basic.consume', {
        queue,
        consumerTag: 'other',
        exclusive: true,
      });
    },
  },
  {
    name: 'a consumer of a quorum queue brings no arguments of other types of queues',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      const tables = [{ 'x-cancel-on-ha-failover': true }, { 'x-stream-offset': 1 }, { 'x-mine': 1 }];
      for (const [index, table] of tables.entries()) {
        const other = await channel.connection.channel(index + 2);
        await other.call('basic.consume', { queue, consumerTag: 'c', arguments: table });
      }
    },
  },
  {
    name: 'the priority of a consumer of a quorum queue must be an integer',
    async run(script) {
      const { channel, queue } = await withQuorumQueue(script);
      await channel.call('basic.consume', { queue, consumerTag: 'c', arguments: { 'x-priority': 'high' } });
    },
  },
];

/** Each as a quorum queue of its own, on a channel of its own: a refusal closes it. */
async function declareEach(script: Script, tables: readonly { readonly [name: string]: Plain }[]): Promise<void> {
  const connection = await script.connect();
  for (const [index, table] of tables.entries()) {
    const channel = await connection.channel(index + 1);
    const args = { 'x-queue-type': 'quorum', ...table };
    await channel.call('queue.declare', { queue: script.name(`q${index + 1}`), durable: true, arguments: args });
  }
}

async function declareAgain(
  script: Script,
  table: { readonly [name: string]: Plain },
  others: readonly { readonly [name: string]: Plain }[],
): Promise<void> {
  const connection = await script.connect();
  const queue = script.name(`q${Object.keys(table).length}`);
  for (const [index, each] of [table, ...others].entries()) {
    const channel = await connection.channel(index + 1);
    await channel.call('queue.declare', { queue, durable: true, arguments: each });
  }
}
