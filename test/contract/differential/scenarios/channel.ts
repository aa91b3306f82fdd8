import type { Scenario, Script } from '../script';

/** How a channel is opened, closed and opened again, and what it answers meanwhile. */

export const channel: Scenario[] = [
  {
    name: 'a channel opened twice ends the connection with 504',
    async run(script) {
      const connection = await script.connect();
      await connection.unopened(1).call('channel.open');
      await connection.unopened(1).call('channel.open');
      await connection.hungUp();
    },
  },
  {
    name: 'a channel number is free again once its channel was closed',
    async run(script) {
      const connection = await script.connect();
      const channel = connection.unopened(1);
      for (let round = 0; round < 2; round += 1) {
        await channel.call('channel.open');
        await channel.call('channel.close', { replyCode: 200, replyText: 'goodbye' });
      }
    },
  },
  {
    name: 'channels of any number live side by side',
    async run(script) {
      const connection = await script.connect();
      const queue = script.name('q');
      for (const number of [2047, 1, 500]) {
        const channel = connection.unopened(number);
        await channel.call('channel.open');
        await channel.call('queue.declare', { queue });
      }
    },
  },
  {
    name: 'a channel number above channel-max opens while there is room',
    async run(script) {
      const connection = await script.connect();
      await connection.unopened(65_535).call('channel.open');
    },
  },
  {
    name: 'a method after the client closed the channel ends the connection',
    async run(script) {
      const channel = await script.open();
      await channel.call('channel.close', { replyCode: 200 });
      channel.cast('basic.qos', { prefetchCount: 1 });
      await channel.receive('basic.qos-ok');
    },
  },
  {
    name: 'a method after the server closed the channel, and was answered, ends the connection',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { queue: script.name('q'), passive: true });
      channel.cast('basic.qos', { prefetchCount: 1 });
      await channel.receive('basic.qos-ok');
    },
  },
  {
    name: 'methods on their way while the server closes the channel are not answered',
    async run(script) {
      const [channel, other] = [await script.open(), await script.open()];
      const queue = script.name('q');
      channel.cast('queue.declare', { queue: script.name('missing'), passive: true });
      channel.cast('queue.declare', { queue });
      channel.publish({ routingKey: queue });
      channel.cast('confirm.select');
      await channel.receive('channel.close');
      await other.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a close that crosses the one of the server is answered',
    async run(script) {
      const channel = await script.open();
      channel.cast('queue.declare', { queue: script.name('missing'), passive: true });
      channel.cast('channel.close', { replyCode: 200 });
      await channel.receive('channel.close');
      await channel.receive('channel.close-ok');
      await channel.call('channel.open');
    },
  },
  {
    name: 'an open before the close of the server was answered ends the connection',
    async run(script) {
      const channel = await script.open();
      channel.cast('queue.declare', { queue: script.name('missing'), passive: true });
      channel.cast('channel.open');
      await channel.receive('channel.close');
      await channel.connection.control.receive('connection.close');
    },
  },
  {
    name: 'of many errors on their way the first is told',
    async run(script) {
      const channel = await script.open();
      for (const base of ['one', 'two', 'three']) channel.publish({ exchange: script.name(base) });
      await channel.receive('channel.close');
      await channel.call('channel.open');
      await channel.nothing();
    },
  },
  {
    name: 'a channel that the server closed is opened again, and knows nothing of before',
    async run(script) {
      const channel = await script.open();
      await channel.call('confirm.select');
      await channel.call('queue.declare', { queue: script.name('q') });
      await channel.call('queue.declare', { queue: script.name('missing'), passive: true });
      await channel.call('channel.open');
      await channel.call('tx.select');
      await channel.call('queue.purge');
    },
  },
  {
    name: 'an error of one channel does not touch another of the connection',
    async run(script) {
      const connection = await script.connect();
      const [failing, other] = [await connection.channel(1), await connection.channel(2)];
      await failing.call('exchange.declare', { exchange: script.name('missing'), passive: true });
      await other.call('queue.declare', { queue: script.name('q') });
    },
  },
  {
    name: 'a closed channel cancels its consumers and gives back what it held',
    async run(script) {
      const connection = await script.connect();
      const [leaving, staying] = [await connection.channel(1), await connection.channel(2)];
      const queue = script.name('q');
      await leaving.call('queue.declare', { queue });
      leaving.publish({ routingKey: queue });
      await leaving.call('basic.consume', { queue, consumerTag: 'ctag' });
      await leaving.deliveries();
      await leaving.call('channel.close', { replyCode: 200 });
      await staying.call('basic.get', { queue, noAck: true });
      await staying.call('queue.delete', { queue, ifUnused: true });
    },
  },
  {
    name: 'what a closed channel published is delivered',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      channel.publish({ routingKey: queue });
      await channel.call('channel.close', { replyCode: 200 });
      await channel.call('channel.open');
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an exclusive queue outlives the channel that declared it',
    async run(script) {
      const connection = await script.connect();
      const [leaving, staying] = [await connection.channel(1), await connection.channel(2)];
      const queue = script.name('q');
      await leaving.call('queue.declare', { queue, exclusive: true });
      await leaving.call('channel.close', { replyCode: 200 });
      await staying.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'an active flow is answered',
    async run(script) {
      const channel = await script.open();
      await channel.call('channel.flow', { active: true });
    },
  },
  {
    name: 'a flow that is switched off is not implemented, and ends the connection',
    async run(script) {
      const channel = await script.open();
      await channel.call('channel.flow', { active: false });
      await channel.connection.hungUp();
    },
  },
  {
    name: 'access is granted to who asks for it',
    async run(script) {
      const channel = await script.open();
      await channel.call('access.request', { realm: '/data', active: true, write: true, read: true });
      await channel.call('access.request', { realm: '/no/such', exclusive: true, passive: true });
    },
  },
  {
    name: 'a ticket that nobody gave out is as good as any',
    async run(script) {
      const channel = await script.open();
      await channel.call('queue.declare', { ticket: 77, queue: script.name('q') });
    },
  },
  {
    name: 'answers come in the order of the methods',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      channel.cast('queue.declare', { queue });
      channel.cast('basic.qos', { prefetchCount: 1 });
      channel.cast('queue.purge', { queue });
      channel.cast('queue.delete', { queue });
      await channel.next(4);
    },
  },
  {
    name: 'methods with nowait are not answered',
    async run(script) {
      const channel = await script.open();
      const [queue, exchange] = [script.name('q'), script.name('x')];
      channel.cast('queue.declare', { queue, nowait: true });
      channel.cast('exchange.declare', { exchange, type: 'fanout', nowait: true });
      channel.cast('queue.bind', { queue, exchange, nowait: true });
      channel.cast('basic.consume', { queue, consumerTag: 'ctag', noAck: true, nowait: true });
      channel.cast('confirm.select', { nowait: true });
      channel.publish({ exchange });
      await channel.deliveries();
      channel.cast('basic.cancel', { consumerTag: 'ctag', nowait: true });
      channel.cast('queue.purge', { queue, nowait: true });
      channel.cast('queue.delete', { queue, nowait: true });
      channel.cast('exchange.delete', { exchange, nowait: true });
      await channel.receive('basic.ack');
      await channel.nothing();
    },
  },
  {
    name: 'an error of a method with nowait closes the channel all the same',
    async run(script) {
      const channel = await script.open();
      channel.cast('queue.declare', { queue: script.name('q'), passive: true, nowait: true });
      await channel.receive('channel.close');
    },
  },
  {
    name: 'no code or text of a close is refused',
    async run(script) {
      const channel = await script.open();
      await channel.call('channel.close', { replyCode: 406, replyText: 'I am cross', classId: 60, methodId: 40 });
    },
  },
  {
    name: 'what a client says it can do decides whether it hears of a queue that is gone',
    async run(script) {
      const queue = script.name('q');
      const [told, untold] = [await consuming(script, queue, {}), await consuming(script, queue, undefined)];
      await told.call('queue.delete', { queue });
      await told.nothing();
      await untold.receive('basic.cancel');
      await untold.nothing();
    },
  },
];

async function consuming(script: Script, queue: string, capabilities: Record<string, boolean> | undefined) {
  const channel = await script.open(capabilities === undefined ? {} : { capabilities });
  await channel.call('queue.declare', { queue });
  await channel.call('basic.consume', { queue, consumerTag: 'ctag' });
  return channel;
}
