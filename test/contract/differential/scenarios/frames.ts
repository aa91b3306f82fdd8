import { FRAME_BODY, FRAME_HEADER, FRAME_METHOD, frame } from '../../../../infra/local/broker/framing';
import { method } from '../../../helpers/amqp-frames';
import type { Scenario, Script } from '../script';
import type { ScriptChannel } from '../script-connection';

/** Frames that are cut wrong, come at the wrong place, or carry what nobody can read. */

const BASIC_CLASS = 60;
const PERSISTENT = Buffer.from([0x10, 0, 2]);

export const frames: Scenario[] = [
  ...(['queue.declare', 'basic.ack', 'channel.close', 'channel.close-ok'] as const).map((name) => ({
    name: `${name} on a channel that was never opened`,
    async run(script: Script) {
      const connection = await script.connect();
      connection.unopened(7).cast(name);
      await connection.control.receive('connection.close');
    },
  })),
  {
    name: 'a publish on a channel that was never opened',
    async run(script) {
      const connection = await script.connect();
      connection.unopened(7).publish({ routingKey: 'key' });
      await connection.control.receive('connection.close');
    },
  },
  {
    name: 'a content header on a channel that was never opened',
    async run(script) {
      const connection = await script.connect();
      connection.write('header frame on channel 7', frame(FRAME_HEADER, 7, header(0)));
      await connection.unopened(1).call('channel.open');
    },
  },
  {
    name: 'a body on a channel that was never opened',
    async run(script) {
      const connection = await script.connect();
      connection.write('body frame on channel 7', frame(FRAME_BODY, 7, Buffer.from('body')));
      await connection.unopened(1).call('channel.open');
    },
  },
  {
    name: 'a frame without its end octet',
    async run(script) {
      const bytes = method(1, 'tx.select');
      bytes[bytes.length - 1] = 0xcd;
      await refused(await script.open(), 'tx.select that ends with 0xcd', bytes);
    },
  },
  {
    name: 'a frame larger than agreed',
    async run(script) {
      const channel = await script.open({ frameMax: 4096 });
      await refused(channel, 'body frame with 4097 octets', frame(FRAME_BODY, 1, Buffer.alloc(4097)));
    },
  },
  {
    name: 'a frame whose payload is as large as a whole frame may be',
    async run(script) {
      const channel = await script.open({ frameMax: 4096 });
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      write(channel, 'basic.publish with a body frame of 4096 octets', [
        method(1, 'basic.publish', { routingKey: queue }),
        frame(FRAME_HEADER, 1, header(4096)),
        frame(FRAME_BODY, 1, Buffer.alloc(4096, 'x')),
      ]);
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a body above frame-max comes back in frames that fit',
    async run(script) {
      const channel = await script.open({ frameMax: 4096 });
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      channel.publish({ routingKey: queue, body: 'x'.repeat(10_000) });
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a body may come in frames of any size, and in empty ones',
    async run(script) {
      const channel = await script.open();
      const queue = script.name('q');
      await channel.call('queue.declare', { queue });
      write(channel, 'basic.publish with a body of three frames', [
        method(1, 'basic.publish', { routingKey: queue }),
        frame(FRAME_HEADER, 1, header(4)),
        ...['b', '', 'ody'].map((part) => frame(FRAME_BODY, 1, Buffer.from(part))),
      ]);
      await channel.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'a type of frame that nobody knows',
    async run(script) {
      await refused(await script.open(), 'frame of type 9', frame(9, 1, Buffer.from('abc')));
    },
  },
  {
    name: 'a method frame too short for a method',
    async run(script) {
      await refused(await script.open(), 'method frame of two octets', frame(FRAME_METHOD, 1, Buffer.from([0, 60])));
    },
  },
  {
    name: 'of a long frame that nobody knows the beginning is shown',
    async run(script) {
      await refused(await script.open(), 'frame of type 9', frame(9, 1, Buffer.from('sixteen octets, and more')));
    },
  },
  {
    name: 'a heartbeat on a channel',
    async run(script) {
      await refused(await script.open(), 'heartbeat on channel 1', frame(8, 1, Buffer.alloc(0)));
    },
  },
  {
    name: 'a heartbeat with a payload',
    async run(script) {
      await refused(await script.open(), 'heartbeat with a payload', frame(8, 0, Buffer.from('tick')));
    },
  },
  {
    name: 'a class that nobody knows',
    async run(script) {
      await refused(await script.open(), 'method 99.10', methodOf(99, 10));
    },
  },
  {
    name: 'a method that its class does not have',
    async run(script) {
      await refused(await script.open(), 'method 50.99', methodOf(50, 99));
    },
  },
  {
    name: 'a method with octets missing',
    async run(script) {
      await refused(await script.open(), 'basic.qos without its last octet', methodOf(60, 10, [0, 0, 0, 0, 0, 1]));
    },
  },
  {
    name: 'a method with octets left over',
    async run(script) {
      await refused(await script.open(), 'basic.qos and an octet', methodOf(60, 10, [0, 0, 0, 0, 0, 1, 0, 65]));
    },
  },
  {
    name: 'octets that cannot be decoded are shown as numbers, and a frame that is none as text',
    async run(script) {
      await refused(await script.open(), 'basic.qos of text', methodOf(60, 10, [...Buffer.from('text')]));
      await refused(await script.open(), 'frame of type 9', frame(9, 1, Buffer.from('\r\n "text"')));
    },
  },
  {
    name: 'a name that is not UTF-8',
    async run(script) {
      const bytes = methodOf(50, 10, [0, 0, 2, 0xc3, 0x28, 0, 0, 0, 0, 0]);
      await refused(await script.open(), 'queue.declare of <c328>', bytes);
    },
  },
  {
    name: 'a table with a value of a type that nobody knows',
    async run(script) {
      const bytes = methodOf(50, 10, [0, 0, 0, 0, 0, 0, 0, 4, 1, 97, 0x7a, 1]);
      await refused(await script.open(), "queue.declare with a value of type 'z'", bytes);
    },
  },
  {
    name: 'a table shorter than it says',
    async run(script) {
      const bytes = methodOf(50, 10, [0, 0, 0, 0, 0, 0, 0, 9, 1, 97, 0x74, 1]);
      await refused(await script.open(), 'queue.declare with a table that ends early', bytes);
    },
  },
  {
    name: 'a content header without a publish',
    async run(script) {
      await refused(await script.open(), 'header frame', frame(FRAME_HEADER, 1, header(4)));
    },
  },
  {
    name: 'a body without a publish',
    async run(script) {
      await refused(await script.open(), 'body frame', frame(FRAME_BODY, 1, Buffer.from('body')));
    },
  },
  {
    name: 'a method instead of a content header',
    async run(script) {
      const channel = await script.open();
      channel.cast('basic.publish', { routingKey: 'key' });
      await channel.call('basic.qos', { prefetchCount: 1 });
    },
  },
  {
    name: 'a body instead of a content header',
    async run(script) {
      const channel = await script.open();
      channel.cast('basic.publish', { routingKey: 'key' });
      await refused(channel, 'body frame', frame(FRAME_BODY, 1, Buffer.from('body')));
    },
  },
  {
    name: 'a content header of another class',
    async run(script) {
      const channel = await script.open();
      channel.cast('basic.publish', { routingKey: 'key' });
      await refused(channel, 'header frame of class 50', frame(FRAME_HEADER, 1, header(4, 50)));
    },
  },
  {
    name: 'a method instead of a body',
    async run(script) {
      const channel = await script.open();
      channel.cast('basic.publish', { routingKey: 'key' });
      channel.connection.write('header frame', frame(FRAME_HEADER, 1, header(4)));
      await channel.call('basic.qos', { prefetchCount: 1 });
    },
  },
  {
    name: 'another channel speaks while content is on its way',
    async run(script) {
      const connection = await script.connect();
      const [publishing, other] = [await connection.channel(1), await connection.channel(2)];
      const queue = script.name('q');
      await other.call('queue.declare', { queue });
      publishing.cast('basic.publish', { routingKey: queue });
      await other.call('basic.qos', { prefetchCount: 1 });
      connection.write('header frame', frame(FRAME_HEADER, 1, header(4)));
      await other.call('basic.qos', { prefetchCount: 2 });
      connection.write('body frame', frame(FRAME_BODY, 1, Buffer.from('body')));
      await publishing.call('basic.get', { queue, noAck: true });
    },
  },
  {
    name: 'properties with flags that no class has',
    async run(script) {
      const channel = await script.open();
      channel.cast('basic.publish', { routingKey: 'key' });
      const unknownFlags = Buffer.concat([header(0).subarray(0, 12), Buffer.from([0, 2])]);
      await refused(channel, 'header frame with flags 0002', frame(FRAME_HEADER, 1, unknownFlags));
    },
  },
  {
    name: 'properties that end too early',
    async run(script) {
      const channel = await script.open();
      channel.cast('basic.publish', { routingKey: 'key' });
      const cut = Buffer.concat([header(0).subarray(0, 12), Buffer.from([0x80, 0, 9, 97])]);
      await refused(channel, 'header frame with a content type cut short', frame(FRAME_HEADER, 1, cut));
    },
  },
  ...(['queue.declare-ok', 'channel.open-ok', 'basic.get-empty', 'channel.flow-ok'] as const).map((name) => ({
    name: `${name} from a client`,
    async run(script: Script) {
      const channel = await script.open();
      channel.cast(name);
      await channel.call('basic.qos', { prefetchCount: 1 });
    },
  })),
];

/** Writes it, and takes the close; or what answers the next method, when there is none. */
async function refused(channel: ScriptChannel, what: string, bytes: Buffer): Promise<void> {
  write(channel, what, [bytes]);
  await channel.call('basic.qos', { prefetchCount: 1 });
}

function write(channel: ScriptChannel, what: string, bytes: readonly Buffer[]): void {
  channel.connection.write(what, Buffer.concat(bytes));
}

function methodOf(classId: number, methodId: number, args: readonly number[] = []): Buffer {
  return frame(FRAME_METHOD, 1, Buffer.from([0, classId, 0, methodId, ...args]));
}

function header(size: number, classId = BASIC_CLASS): Buffer {
  const fixed = Buffer.alloc(12);
  fixed.writeUInt16BE(classId, 0);
  fixed.writeBigUInt64BE(BigInt(size), 4);
  return Buffer.concat([fixed, PERSISTENT]);
}
