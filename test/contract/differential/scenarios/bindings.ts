import { reached } from '../reached';
import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';

/** How queues and exchanges are bound and unbound, and what is refused. */

export const bindings: Scenario[] = [
  {
    name: 'a queue bound twice in the same way is bound once',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('queue.bind', { queue, exchange, routingKey: 'key' });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
      await channel.call('queue.unbind', { queue, exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'bindings differ by their key',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('queue.bind', { queue, exchange, routingKey: 'a' });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'b' });
      await channel.call('queue.unbind', { queue, exchange, routingKey: 'a' });
      channel.publish({ exchange, routingKey: 'a' });
      await reached(channel, [queue]);
      channel.publish({ exchange, routingKey: 'b' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'bindings differ by their arguments',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      const bind = { queue, exchange, routingKey: 'key' };
      await channel.call('queue.bind', { ...bind, arguments: { a: 1 } });
      await channel.call('queue.bind', { ...bind, arguments: { a: 2 } });
      await channel.call('queue.unbind', { ...bind, arguments: { a: 1 } });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
      await channel.call('queue.unbind', { ...bind, arguments: { a: 2 } });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'the order of the arguments makes no difference to a binding',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      const bind = { queue, exchange, routingKey: 'key' };
      await channel.call('queue.bind', { ...bind, arguments: { a: 1, b: 2 } });
      await channel.call('queue.unbind', { ...bind, arguments: { b: 2, a: 1 } });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'the width of a number makes a difference to a binding',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      const bind = { queue, exchange, routingKey: 'key' };
      await channel.call('queue.bind', { ...bind, arguments: { a: { typed: { type: 'long', value: 1n } } } });
      await channel.call('queue.unbind', { ...bind, arguments: { a: { typed: { type: 'byte', value: 1 } } } });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'without a queue and a key, both are those of the queue declared last',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('queue.bind', { exchange });
      channel.publish({ exchange, routingKey: queue });
      await reached(channel, [queue]);
      await channel.call('queue.unbind', { exchange });
      channel.publish({ exchange, routingKey: queue });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'a key without a queue is taken as it is',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('queue.bind', { exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'a queue with an empty key is bound with the empty key',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('queue.bind', { queue, exchange });
      channel.publish({ exchange });
      await reached(channel, [queue]);
      channel.publish({ exchange, routingKey: queue });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'without a queue, and none declared before, a bind is 404',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.bind', { exchange: 'amq.direct' });
    },
  },
  {
    name: 'without a queue, and none declared before, an unbind is 404',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.unbind', { exchange: 'amq.direct' });
    },
  },
  {
    name: 'a bind to an exchange that is not there is 404',
    async run(script) {
      const { channel, queue } = await topology(script);
      await channel.call('queue.bind', { queue, exchange: script.name('missing') });
    },
  },
  {
    name: 'a bind of a queue that is not there is 404',
    async run(script) {
      const { channel, exchange } = await topology(script);
      await channel.call('queue.bind', { queue: script.name('missing'), exchange });
    },
  },
  {
    name: 'of a missing queue and a missing exchange one is named',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.bind', { queue: script.name('no queue'), exchange: script.name('no exchange') });
    },
  },
  ...(['queue.bind', 'queue.unbind'] as const).map((name) => ({
    name: `${name} with the default exchange is refused`,
    async run(script: Script) {
      const { channel, queue } = await topology(script);
      await channel.call(name, { queue, exchange: '', routingKey: 'key' });
    },
  })),
  {
    name: 'to unbind what is not bound is fine',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('queue.unbind', { queue, exchange, routingKey: 'key' });
      await channel.call('queue.unbind', { queue: script.name('missing'), exchange, routingKey: 'key' });
      await channel.call('queue.unbind', { queue, exchange: script.name('missing'), routingKey: 'key' });
    },
  },
  ...(['queue.bind', 'queue.unbind'] as const).map((name) => ({
    name: `${name} of a queue that another connection has for itself is 405`,
    async run(script: Script) {
      const [owner, other] = [await script.open(), await script.open()];
      const queue = script.name('q');
      await owner.call('queue.declare', { queue, exclusive: true });
      await other.call(name, { queue, exchange: 'amq.direct', routingKey: 'key' });
    },
  })),
  {
    name: 'with a queue go its bindings',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('queue.bind', { queue, exchange, routingKey: 'key' });
      await channel.call('queue.delete', { queue });
      await channel.call('queue.declare', { queue });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'a durable exchange takes a queue that is not durable, and the other way round',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      const [durableExchange, durableQueue] = [script.name('durable-x'), script.name('durable-q')];
      await channel.call('exchange.declare', { exchange: durableExchange, type: 'fanout', durable: true });
      await channel.call('queue.declare', { queue: durableQueue, durable: true });
      await channel.call('queue.bind', { queue, exchange: durableExchange });
      await channel.call('queue.bind', { queue: durableQueue, exchange, routingKey: 'key' });
    },
  },
  {
    name: 'an exchange routes on to one that is bound to it',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      const destination = script.name('destination');
      await channel.call('exchange.declare', { exchange: destination, type: 'fanout' });
      await channel.call('queue.bind', { queue, exchange: destination });
      await channel.call('exchange.bind', { destination, source: exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key', mandatory: true });
      await reached(channel, [queue]);
      await channel.call('exchange.unbind', { destination, source: exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key', mandatory: true });
      await channel.receive('basic.return');
    },
  },
  {
    name: 'an internal exchange is reached through another',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      const destination = script.name('internal');
      await channel.call('exchange.declare', { exchange: destination, type: 'fanout', internal: true });
      await channel.call('queue.bind', { queue, exchange: destination });
      await channel.call('exchange.bind', { destination, source: exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key' });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a queue that is reached on two ways gets a message once',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      const destination = script.name('destination');
      await channel.call('exchange.declare', { exchange: destination, type: 'fanout' });
      await channel.call('exchange.bind', { destination, source: exchange, routingKey: 'key' });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'key' });
      await channel.call('queue.bind', { queue, exchange: destination });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'exchanges bound in a circle route a message once',
    async run(script) {
      const channel = await script.open();
      const circle = [script.name('x'), script.name('y'), script.name('z')] as const;
      const queues = [script.name('p'), script.name('q'), script.name('r')];
      for (const [index, exchange] of circle.entries()) {
        const queue = queues[index] as string;
        await channel.call('exchange.declare', { exchange, type: 'fanout' });
        await channel.call('queue.declare', { queue });
        await channel.call('queue.bind', { queue, exchange });
      }
      for (const [index, source] of circle.entries()) {
        await channel.call('exchange.bind', { source, destination: circle[(index + 1) % 3] as string });
      }
      channel.publish({ exchange: circle[1] });
      await reached(channel, queues);
    },
  },
  {
    name: 'an exchange may be bound to itself',
    async run(script) {
      const { channel, exchange, queue } = await topology(script);
      await channel.call('exchange.bind', { destination: exchange, source: exchange, routingKey: 'key' });
      await channel.call('queue.bind', { queue, exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key' });
      await reached(channel, [queue]);
    },
  },
  {
    name: 'a message that reaches exchanges and no queue is unroutable',
    async run(script) {
      const { channel, exchange } = await topology(script);
      const destination = script.name('destination');
      await channel.call('exchange.declare', { exchange: destination, type: 'fanout' });
      await channel.call('exchange.bind', { destination, source: exchange, routingKey: 'key' });
      channel.publish({ exchange, routingKey: 'key', mandatory: true });
      await channel.receive('basic.return');
    },
  },
  {
    name: 'to bind from an exchange that is not there is 404',
    async run(script) {
      const { channel, exchange } = await topology(script);
      await channel.call('exchange.bind', { destination: exchange, source: script.name('missing') });
    },
  },
  {
    name: 'to bind an exchange that is not there is 404',
    async run(script) {
      const { channel, exchange } = await topology(script);
      await channel.call('exchange.bind', { destination: script.name('missing'), source: exchange });
    },
  },
  {
    name: 'of two missing exchanges one is named',
    async run(script) {
      const channel = await script.open();
      const [destination, source] = [script.name('no destination'), script.name('no source')];
      await channel.call('exchange.bind', { destination, source });
    },
  },
  ...(['exchange.bind', 'exchange.unbind'] as const).flatMap((name) =>
    (['destination', 'source'] as const).map((side) => ({
      name: `${name} with the default exchange as ${side} is refused`,
      async run(script: Script) {
        const channel = await script.open();
        await channel.call(name, { destination: 'amq.fanout', source: 'amq.direct', [side]: '' });
      },
    })),
  ),
  {
    name: 'to unbind exchanges that are not bound, or not there, is fine',
    async run(script) {
      const { channel, exchange } = await topology(script);
      const missing = script.name('missing');
      await channel.call('exchange.unbind', { destination: exchange, source: 'amq.direct', routingKey: 'key' });
      await channel.call('exchange.unbind', { destination: missing, source: exchange });
      await channel.call('exchange.unbind', { destination: exchange, source: missing });
    },
  },
  {
    name: 'the exchanges of the server may be bound',
    async run(script) {
      const { channel, queue } = await topology(script);
      const key = script.name('key');
      await channel.call('exchange.bind', { destination: 'amq.topic', source: 'amq.direct', routingKey: key });
      await channel.call('queue.bind', { queue, exchange: 'amq.topic', routingKey: key });
      channel.publish({ exchange: 'amq.direct', routingKey: key });
      await reached(channel, [queue]);
      await channel.call('exchange.unbind', { destination: 'amq.topic', source: 'amq.direct', routingKey: key });
    },
  },
];

async function topology(script: Script): Promise<{ channel: ScriptChannel; exchange: string; queue: string }> {
  const channel = await script.open();
  const [exchange, queue] = [script.name('x'), script.name('q')];
  await channel.quietly('exchange.declare', { exchange, type: 'direct' });
  await channel.quietly('queue.declare', { queue });
  return { channel, exchange, queue };
}
