import type { Scenario } from '../script';
import type { ScriptChannel } from '../script-connection';

/** Queues: what declares, passive declares and purges say, and which names they take. */

export const queues: Scenario[] = [
  {
    name: 'a queue without a name gets one from the server',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { exclusive: true });
      await channel.call('queue.declare', { exclusive: true });
    },
  },
  {
    name: 'the empty name stands for the queue that the channel declared last',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { queue: script.name('first') });
      await channel.call('queue.declare', { queue: script.name('q') });
      await channel.call('queue.bind', { exchange: 'amq.direct' });
      channel.publish({ exchange: 'amq.direct', routingKey: script.name('q') });
      channel.publish({ routingKey: script.name('q'), body: 'second' });
      await channel.call('basic.get', { noAck: true });
      await channel.call('queue.purge');
      await channel.call('basic.consume', { consumerTag: 'c' });
      await channel.call('queue.unbind', { exchange: 'amq.direct' });
      await channel.call('queue.delete');
    },
  },
  {
    name: 'a passive declare too makes its queue the one that the empty name stands for',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { queue: script.name('q') });
      await channel.call('queue.declare', { queue: script.name('other') });
      await channel.call('queue.declare', { queue: script.name('q'), passive: true });
      await publish(channel, script.name('q'), 1);
      await channel.call('queue.purge');
    },
  },
  {
    name: 'a declare with the empty name never stands for the last declared queue',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { queue: script.name('q') });
      await channel.call('queue.declare', { queue: '', passive: true });
    },
  },
  {
    name: 'the empty name before any declaration closes the channel with 404',
    async run(script) {
      const connection = await script.connect();
      const calls = [
        'queue.bind',
        'queue.unbind',
        'queue.purge',
        'queue.delete',
        'basic.consume',
        'basic.get',
      ] as const;
      for (const [index, name] of calls.entries()) await (await connection.channel(index + 1)).call(name, {});
    },
  },
  {
    name: 'the empty name is forgotten with the channel',
    async run(script) {
      const connection = await script.connect();
      const channel = await connection.channel(1);
      await channel.call('queue.declare', { queue: script.name('q') });
      await channel.call('channel.close', { replyCode: 200 });
      await (await connection.channel(1)).call('queue.purge', {});
    },
  },
  {
    name: 'methods on a queue that is not there close the channel with 404, but delete does not',
    async run(script) {
      const connection = await script.connect();
      const queue = script.name('q');
      await (await connection.channel(1)).call('queue.declare', { queue, passive: true });
      await (await connection.channel(2)).call('queue.purge', { queue });
      await (await connection.channel(3)).call('basic.get', { queue });
      await (await connection.channel(4)).call('basic.consume', { queue });
      await (await connection.channel(5)).call('queue.bind', { queue, exchange: 'amq.fanout' });
      await (await connection.channel(6)).call('queue.unbind', { queue, exchange: 'amq.fanout' });
      await (await connection.channel(7)).call('queue.delete', { queue, ifUnused: true, ifEmpty: true });
    },
  },
  {
    name: 'a passive declare answers whatever its other flags and arguments say',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await channel.call('queue.declare', { queue, passive: true, durable: true, autoDelete: true });
      await channel.call('queue.declare', { queue, passive: true, arguments: { 'x-max-length': 'many' } });
      await channel.call('queue.declare', { queue, passive: true, exclusive: true });
    },
  },
  {
    name: 'declare-ok counts the ready messages and the consumers',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await publish(channel, queue, 3);
      await channel.call('queue.declare', { queue });
      await channel.call('basic.get', { queue });
      await channel.call('queue.declare', { queue });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue, noAck: true });
      await channel.call('queue.declare', { queue, passive: true });
      await channel.call('basic.consume', { queue, consumerTag: 'c' });
      await channel.deliveries(2);
      await channel.call('basic.consume', { queue, consumerTag: 'd', noAck: true });
      await channel.call('queue.declare', { queue });
    },
  },
  {
    name: 'a queue declared again must be as durable and as auto-deleted as before',
    follows: '3.10 and 3.13: any mix of flags can be declared; 4.x deprecates transient queues that are not exclusive',
    async run(script) {
      const connection = await script.connect();
      const queue = script.name('q');
      await (await connection.channel(1)).call('queue.declare', { queue, durable: true });
      await (await connection.channel(1)).call('queue.declare', { queue, durable: true });
      await (await connection.channel(2)).call('queue.declare', { queue });
      await (await connection.channel(3)).call('queue.declare', { queue, durable: true, autoDelete: true });
      await (await connection.channel(4)).call('queue.declare', { queue, durable: true, exclusive: true });
      await (await connection.channel(5)).call('queue.declare', { queue, autoDelete: true });
      await (await connection.channel(6)).call('queue.delete', { queue });
      await (await connection.channel(6)).call('queue.declare', { queue, autoDelete: true });
      await (await connection.channel(6)).call('queue.declare', { queue });
    },
  },
  {
    name: 'a purge removes what is ready and leaves what is delivered',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      await channel.call('queue.purge', { queue });
      await publish(channel, queue, 3);
      await channel.call('basic.get', { queue });
      await channel.call('queue.purge', { queue });
      channel.cast('basic.reject', { deliveryTag: 1, requeue: true });
      await channel.call('basic.get', { queue });
    },
  },
  {
    name: 'methods sent without waiting have no answer',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue, nowait: true });
      await channel.call('queue.bind', { queue, exchange: 'amq.direct', routingKey: 'k', nowait: true });
      await publish(channel, queue, 1);
      await channel.call('queue.purge', { queue, nowait: true });
      await channel.call('queue.declare', { queue, passive: true });
      await channel.call('queue.delete', { queue, nowait: true });
      await channel.nothing();
      await channel.call('queue.declare', { queue, passive: true, nowait: true });
      await channel.receive('channel.close');
    },
  },
  {
    name: 'names with the prefix amq. are the server’s',
    async run(script) {
      const connection = await script.connect();
      await (await connection.channel(1)).call('queue.declare', { queue: 'amq.mine' });
      await (await connection.channel(2)).call('queue.declare', { queue: 'amq.gen-mine', exclusive: true });
      await (await connection.channel(3)).call('queue.declare', { queue: 'amq.mine', passive: true });
      await (await connection.channel(4)).call('queue.delete', { queue: 'amq.mine' });
      await (await connection.channel(5)).call('queue.declare', { queue: script.name('AMQ.mine') });
    },
  },
  {
    name: 'the end of a line is no part of a name that is declared, bound or deleted',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('two words');
      await channel.call('queue.declare', { queue: `${queue}\r\n` });
      channel.publish({ routingKey: queue });
      await channel.call('queue.bind', { queue: `${queue}\n`, exchange: 'amq.direct\n' });
      await channel.call('queue.unbind', { queue: `\n${queue}`, exchange: '\ramq.direct' });
      await channel.call('queue.delete', { queue: `${queue}\n` });
    },
  },
  {
    name: 'purging, getting, consuming and publishing take the end of a line for a part of the name',
    async run(script) {
      const connection = await script.connect();
      const queue = script.name('q');
      await (await connection.channel(1)).call('queue.declare', { queue });
      await (await connection.channel(2)).call('queue.purge', { queue: `${queue}\n` });
      await (await connection.channel(3)).call('basic.get', { queue: `${queue}\n` });
      await (await connection.channel(4)).call('basic.consume', { queue: `${queue}\n` });
      const publisher = await connection.channel(5);
      publisher.publish({ exchange: 'amq.direct\n', routingKey: queue });
      await publisher.receive('channel.close');
    },
  },
  {
    name: 'a name may have 255 bytes, and the texts of errors are cut at as many',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      const long = queue.padEnd(255, 'x');
      await channel.call('queue.declare', { queue: long, exclusive: true });
      await channel.call('queue.declare', { queue: long, exclusive: true, autoDelete: true });
    },
  },
];

/** Confirmed, for RabbitMQ counts at once and may take what was published before only later. */
async function publish(channel: ScriptChannel, queue: string, count: number): Promise<void> {
  await channel.call('confirm.select');
  for (let number = 1; number <= count; number += 1) channel.publish({ routingKey: queue, body: `${number}` });
  await channel.confirms(count);
}
