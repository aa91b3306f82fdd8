import { HEARTBEAT } from '../../../../infra/local/broker/framing';
import type { Scenario, Script } from '../script';

/** An open connection: its heartbeats, its limits, and how it ends. */

export const connection: Scenario[] = [
  {
    name: 'a client that says nothing for two heartbeats is dropped',
    async run(script) {
      const silent = await script.connect({ heartbeat: 1 });
      await silent.hungUp();
    },
  },
  {
    name: 'the server sends heartbeats, and keeps a client that sends its own',
    async run(script) {
      const connection = await script.connect({ heartbeat: 1 });
      for (let beats = 0; beats < 6; beats += 1) {
        connection.wire.write(HEARTBEAT);
        await script.elapse(500);
      }
      await connection.wire.heartbeat();
      await connection.unopened(1).call('channel.open');
    },
  },
  {
    name: 'as many channels open as were agreed on, and no more',
    async run(script) {
      const connection = await script.connect({ channelMax: 2 });
      await connection.unopened(1).call('channel.open');
      await connection.unopened(2).call('channel.open');
      await connection.unopened(3).call('channel.open');
      await connection.hungUp();
    },
  },
  {
    name: 'a channel that closed makes room for another',
    async run(script) {
      const connection = await script.connect({ channelMax: 1 });
      const first = connection.unopened(1);
      await first.call('channel.open');
      await first.call('channel.close');
      await connection.unopened(1).call('channel.open');
    },
  },
  {
    name: 'a channel may have a number above how many were agreed on',
    async run(script) {
      const connection = await script.connect({ channelMax: 2 });
      await connection.unopened(9).call('channel.open');
    },
  },
  {
    name: 'a close by the client is answered, and ends its exclusive queues',
    async run(script) {
      const [leaving, staying] = [await script.connect(), await script.connect()];
      const queue = script.name('q');
      const channel = await leaving.channel(1);
      await channel.call('queue.declare', { queue, exclusive: true });
      await leaving.control.call('connection.close', { replyCode: 200, replyText: 'goodbye' });
      await (await staying.channel(1)).call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'what a client says after its close is not answered',
    async run(script) {
      const connection = await script.connect();
      const channel = await connection.channel(1);
      connection.control.cast('connection.close', { replyCode: 200 });
      channel.cast('queue.declare', { queue: script.name('q') });
      await connection.control.receive('connection.close-ok');
      channel.isOpen = false;
      connection.wire.destroy();
    },
  },
  {
    name: 'a close said twice is answered twice',
    async run(script) {
      const connection = await script.connect();
      connection.control.cast('connection.close', { replyCode: 200 });
      connection.control.cast('connection.close', { replyCode: 200 });
      await connection.control.receive('connection.close-ok', 2);
    },
  },
  {
    name: 'what follows an error of the connection is not answered',
    async run(script) {
      const connection = await script.connect();
      const channel = await connection.channel(1);
      channel.cast('channel.open');
      channel.cast('queue.declare', { queue: script.name('q') });
      await connection.control.receive('connection.close');
      await connection.hungUp();
    },
  },
  {
    name: 'an error of the connection gives back what all its channels held',
    async run(script) {
      const connection = await script.connect();
      const [holding, failing] = [await connection.channel(1), await connection.channel(2)];
      const other = await script.open();
      const queue = script.name('q');
      await other.call('queue.declare', { queue });
      await other.call('confirm.select');
      other.publish({ routingKey: queue });
      await other.confirms();
      await holding.call('basic.get', { queue });
      await failing.call('channel.open');
      await connection.hungUp();
      await other.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a client whose socket breaks gives back what it held',
    async run(script) {
      const [breaking, staying] = [await script.open(), await script.open()];
      const queue = script.name('q');
      await staying.call('queue.declare', { queue });
      await staying.call('confirm.select');
      staying.publish({ routingKey: queue });
      await staying.confirms();
      await breaking.call('basic.get', { queue });
      await staying.call('basic.consume', { queue, consumerTag: 'ctag', noAck: true });
      breaking.connection.wire.destroy();
      await staying.deliveries();
    },
  },
  {
    name: 'the operator closes the connections of a virtual host, and no others',
    async run(script) {
      const [closed, spared] = [await script.connect({ virtualHost: 'second' }), await script.connect()];
      const channel = await spared.channel(1);
      await script.closeConnections('second', 'maintenance tonight');
      await closed.control.receive('connection.close');
      await closed.hungUp();
      await channel.call('queue.declare', { queue: script.name('q') });
    },
  },
  {
    name: 'the words of the operator are cut where they are too many',
    async run(script) {
      const closed = await script.connect({ virtualHost: 'second' });
      await script.closeConnections('second', 'maintenance '.repeat(30));
      await closed.control.receive('connection.close');
    },
  },
  {
    name: 'a virtual host knows nothing of the queues and exchanges of another',
    async run(script) {
      const here = await script.open();
      const there = await script.connect({ virtualHost: 'second' });
      const [queue, exchange] = [script.name('q'), script.name('x')];
      await here.call('queue.declare', { queue });
      await here.call('exchange.declare', { exchange, type: 'fanout' });
      await (await there.channel(1)).call('queue.declare', { queue, passive: true });
      await (await there.channel(2)).call('exchange.declare', { exchange, passive: true });
      const channel = await there.channel(3);
      await channel.call('queue.declare', { queue, exclusive: true });
      channel.publish({ routingKey: queue, body: 'there' });
      await channel.call('basic.get', { queue, noAck: true });
      await here.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'an exclusive queue belongs to one connection, whatever its user',
    async run(script) {
      const [owner, other] = [await script.open(), await script.open()];
      const queue = script.name('q');
      await owner.call('queue.declare', { queue, exclusive: true });
      await other.call('queue.declare', { queue, passive: true });
    },
  },
  {
    name: 'a new secret is taken, whatever it is, of a user that the server itself knows',
    async run(script) {
      const connection = await script.connect();
      await connection.control.call('connection.update-secret', { newSecret: 'guest', reason: 'rotation' });
      await connection.control.call('connection.update-secret', { newSecret: 'wrong', reason: 'rotation' });
      await (await connection.channel(1)).call('queue.declare', { queue: script.name('q') });
    },
  },
  {
    name: 'to open a connection twice is refused',
    async run(script) {
      const connection = await script.connect();
      await connection.control.call('connection.open', { virtualHost: '/' });
    },
  },
  {
    name: 'to log in twice is refused',
    async run(script) {
      const connection = await script.connect();
      connection.control.cast('connection.start-ok', { mechanism: 'PLAIN', response: '\0guest\0guest' });
      await connection.control.receive('connection.tune');
    },
  },
  {
    name: 'to tune an open connection is refused',
    async run(script) {
      const connection = await script.connect();
      connection.control.cast('connection.tune-ok', { channelMax: 1, frameMax: 4096 });
      await connection.control.receive('connection.close');
    },
  },
  {
    name: 'a close-ok that nobody asked for is refused',
    async run(script) {
      const connection = await script.connect();
      connection.control.cast('connection.close-ok');
      await connection.control.receive('connection.close');
    },
  },
  ...(
    ['channel.open', 'channel.close', 'queue.declare', 'basic.publish', 'basic.ack', 'connection.blocked'] as const
  ).map((name) => ({
    name: `${name} on channel 0 is refused`,
    async run(script: Script) {
      const connection = await script.connect();
      connection.control.cast(name);
      await connection.control.receive('connection.close');
    },
  })),
  {
    name: 'a method of the connection on a channel is refused',
    async run(script) {
      const channel = await script.open();
      channel.cast('connection.open', { virtualHost: '/' });
      await channel.receive('connection.open-ok');
    },
  },
  {
    name: 'a memory alarm blocks who publishes, and nobody else',
    async run(script) {
      const [publishing, quiet, consuming] = [await script.connect(), await script.connect(), await script.connect()];
      const [sender, earlier, receiver] = [
        await publishing.channel(1),
        await quiet.channel(1),
        await consuming.channel(1),
      ];
      const queue = script.name('q');
      await receiver.call('queue.declare', { queue });
      await receiver.call('basic.consume', { queue, consumerTag: 'ctag', noAck: true });
      earlier.publish({ routingKey: queue, body: 'early' });
      await receiver.deliveries();
      await alarmed(script, async () => {
        await sender.call('queue.declare', { queue, passive: true });
        sender.publish({ routingKey: queue, body: 'late' });
        await publishing.control.receive('connection.blocked');
        sender.cast('queue.declare', { queue, passive: true });
        await receiver.call('queue.declare', { queue, passive: true });
        await earlier.nothing();
      });
      await publishing.control.receive('connection.unblocked');
      await sender.receive('queue.declare-ok');
      await receiver.deliveries();
    },
  },
  {
    name: 'a client that takes no word of it is blocked in silence',
    async run(script) {
      const publishing = await script.connect({ capabilities: {} });
      const receiver = await script.open();
      const queue = script.name('q');
      await receiver.call('queue.declare', { queue });
      await receiver.call('basic.consume', { queue, consumerTag: 'ctag', noAck: true });
      const sender = await publishing.channel(1);
      await alarmed(script, async () => {
        sender.publish({ routingKey: queue, body: 'late' });
        await receiver.nothing();
      });
      await receiver.deliveries();
      await sender.nothing();
    },
  },
];

async function alarmed(script: Script, work: () => Promise<void>): Promise<void> {
  await script.setMemoryAlarm(true);
  try {
    await work();
  } finally {
    await script.setMemoryAlarm(false);
  }
}
