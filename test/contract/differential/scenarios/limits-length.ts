import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';
import type { Plain } from '../values';

/** Queues that hold only so many messages or bytes, and what they do with the rest. */

export const limitsOfLength: Scenario[] = [
  {
    name: 'a full queue drops its head',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 2 });
      await publish(channel, queue, ['1', '2', '3', '4']);
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await channel.deliveries(2);
    },
  },
  {
    name: 'drop-head in so many words is the same',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 1, 'x-overflow': 'drop-head' });
      await publish(channel, queue, ['1', '2']);
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'a queue for no messages takes none, but a waiting consumer gets them',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 0 });
      await publish(channel, queue, ['1']);
      await channel.call('basic.get', { queue });
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await publish(channel, queue, ['2']);
      await channel.deliveries(1);
    },
  },
  {
    name: 'messages that are delivered do not count',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 1 });
      await publish(channel, queue, ['1']);
      await channel.call('basic.get', { queue });
      await publish(channel, queue, ['2']);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'bytes count as messages do, those of the bodies alone',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length-bytes': 10 });
      await publish(channel, queue, ['12345', '67890', 'abcde']);
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
      await publish(channel, queue, ['12345', '1234567890', '12345678901']);
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'with both limits the one that is reached first counts',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 2, 'x-max-length-bytes': 10 });
      await publish(channel, queue, ['1', '2', '3', '1234567890']);
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await channel.deliveries(1);
    },
  },
  {
    name: 'reject-publish refuses with a nack what finds the queue full',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
      for (const body of ['1', '2', '3']) await publish(channel, queue, [body]);
      await channel.call('basic.get', { queue, noAck: true });
      await publish(channel, queue, ['4']);
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'reject-publish without confirms refuses silently, even what is mandatory',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 0, 'x-overflow': 'reject-publish' });
      channel.publish({ routingKey: queue, mandatory: true });
      await channel.call('basic.get', { queue });
      await channel.nothing();
    },
  },
  {
    name: 'reject-publish refuses by bytes once they are reached',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length-bytes': 10, 'x-overflow': 'reject-publish' });
      for (const body of ['12345', '1234567', '67890', '1']) await publish(channel, queue, [body]);
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await channel.nothing();
    },
  },
  {
    name: 'reject-publish does not mind messages that come back',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
      await publish(channel, queue, ['1']);
      await channel.call('basic.get', { queue });
      await publish(channel, queue, ['2']);
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await publish(channel, queue, ['3']);
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'reject-publish hands over to a consumer that waits, whatever the limit',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      for (const body of ['1', '2', '3']) await publish(channel, queue, [body]);
      await channel.deliveries(3);
    },
  },
  {
    name: 'one queue that refuses makes the confirm of all a nack',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 0, 'x-overflow': 'reject-publish' });
      const other = script.name('other');
      await channel.call('queue.declare', { queue: other });
      await publish(channel, queue, ['1'], { headers: { CC: [other] } });
      await channel.call('basic.get', { queue: other, noAck: true });
    },
  },
  {
    name: 'reject-publish-dlx refuses with a nack and dead-letters',
    async run(script) {
      const channel = await script.open();
      const [queue, dead] = [script.name('q'), script.name('dead')];
      await channel.call('queue.declare', { queue: dead });
      const letters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
      const args = { 'x-max-length': 1, 'x-overflow': 'reject-publish-dlx', ...letters };
      await channel.call('queue.declare', { queue, arguments: args });
      for (const body of ['1', '2']) await publish(channel, queue, [body]);
      await channel.call('basic.consume', { queue: dead, consumerTag: 'c', noAck: true });
      await channel.deliveries(1);
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'reject-publish loses what it refuses, whatever the dead letter exchange',
    async run(script) {
      const channel = await script.open();
      const [queue, dead] = [script.name('q'), script.name('dead')];
      await channel.call('queue.declare', { queue: dead });
      const letters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
      const args = { 'x-max-length': 1, 'x-overflow': 'reject-publish', ...letters };
      await channel.call('queue.declare', { queue, arguments: args });
      for (const body of ['1', '2']) await publish(channel, queue, [body]);
      await channel.call('basic.get', { queue: dead });
    },
  },
  {
    name: 'a full queue with priorities drops its head, which is the oldest of the highest',
    async run(script) {
      const { channel, queue } = await limited(script, { 'x-max-length': 2, 'x-max-priority': 5 });
      await publish(channel, queue, ['high'], { priority: 5 });
      await publish(channel, queue, ['low'], { priority: 1 });
      await publish(channel, queue, ['high again'], { priority: 5 });
      await channel.call('basic.consume', { queue, consumerTag: 'c', noAck: true });
      await channel.deliveries(2);
    },
  },
];

async function limited(script: Script, args: { readonly [name: string]: Plain }) {
  const channel = await script.open();
  const queue = script.name('q');
  await channel.call('queue.declare', { queue, arguments: args });
  return { channel, queue };
}

async function publish(
  channel: ScriptChannel,
  queue: string,
  bodies: readonly string[],
  properties: { readonly priority?: number; readonly headers?: { readonly [name: string]: Plain } } = {},
): Promise<void> {
  await channel.call('confirm.select');
  for (const body of bodies) channel.publish({ routingKey: queue, properties, body });
  await channel.confirms(bodies.length);
}
