import fc from 'fast-check';
import { encodeMethod, encodeProperties } from '../../../infra/local/broker/codec';
import { frame } from '../../../infra/local/broker/framing';
import { METHODS, type MethodName } from '../../../infra/local/broker/methods';
import { body, content, header, method, PROTOCOL_HEADER } from '../../helpers/amqp-frames';
import { ALL_KINDS, argumentsOf } from '../../unit/broker/values';
import type { Heard } from './attack';
import { LOGIN, MAX_FRAME_BYTES } from './frames';

/** Mistakes whose right answer is known from how they are made: what a client sends, and what it must hear. */

interface Mistake {
  /** All that the client sends. */
  readonly bytes: Buffer;
  readonly heard: Heard;
}

const NAMES = Object.keys(METHODS) as MethodName[];
const isClass = (name: string) => (method: MethodName) => method.startsWith(`${name}.`);
const hasContent = (name: MethodName) => 'content' in METHODS[name];

/** What only a server says. */
const OF_SERVER: readonly MethodName[] = NAMES.filter(
  (name) => (name.endsWith('-ok') || name === 'basic.get-empty') && !isClass('connection')(name) && !hasContent(name),
);
const HANDSHAKE: readonly MethodName[] = ['connection.start-ok', 'connection.tune-ok', 'connection.open'];

const PUBLISH = method(1, 'basic.publish', { routingKey: 'fuzz.nobody' });
const KNOWN_TYPES = [1, 2, 3, 8];

const octets = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes));
const well = (names: readonly MethodName[]) =>
  fc.constantFrom(...names).chain((name) => argumentsOf(name, ALL_KINDS).map((args) => ({ name, args })));
const payload = (names: readonly MethodName[]) => well(names).map(({ name, args }) => encodeMethod(name, args));
const withContent = (bytes: Buffer) => Buffer.concat([PUBLISH, bytes]);
const table = (entries: Buffer) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(entries.length);
  return Buffer.concat([length, entries]);
};
const NONSENSE = fc
  .constantFrom(
    [1, 0x61, 0x7a],
    [1, 0x61, 0x49, 0],
    [5, 0x61],
    [1, 0x61, 0x66, 0x7f, 0xc0, 0, 0],
    [1, 0x61, 0x46, 0, 0, 0, 9],
  )
  .map((entries) => table(Buffer.from(entries)));

/** What is sent once channel 1 is open, by what is wrong with it. */
const AFTER_LOGIN: Readonly<Record<string, readonly [heard: number | 'dropped', sent: fc.Arbitrary<Buffer>]>> = {
  'a frame without its end': [
    501,
    fc.tuple(payload(['basic.ack']), fc.integer({ min: 0, max: 0xcd })).map(([bytes, end]) => {
      const whole = frame(1, 1, bytes);
      whole[whole.length - 1] = end;
      return whole;
    }),
  ],
  'a frame of no known type': [
    501,
    fc
      .tuple(
        fc.nat(255).filter((type) => !KNOWN_TYPES.includes(type)),
        fc.nat(3),
        octets(0, 20),
      )
      .map(([type, channel, bytes]) => frame(type, channel, bytes)),
  ],
  'a frame above the limit': [
    501,
    fc
      .tuple(fc.constantFrom(1, 2, 3), fc.nat(3), fc.integer({ min: MAX_FRAME_BYTES + 1, max: 2 ** 32 - 1 }))
      .map(([type, channel, size]) => {
        const start = Buffer.from([type, 0, channel, 0, 0, 0, 0]);
        start.writeUInt32BE(size, 3);
        return start;
      }),
  ],
  'a heartbeat that says something': [501, octets(1, 9).map((bytes) => frame(8, 0, bytes))],
  'a method without its number': [501, octets(0, 3).map((bytes) => frame(1, 1, bytes))],
  'a header without its size': [501, octets(0, 11).map((bytes) => withContent(frame(2, 1, bytes)))],
  'a method cut off': [
    501,
    fc
      .tuple(
        payload(NAMES).filter((bytes) => bytes.length > 4),
        fc.nat(),
      )
      .map(([bytes, place]) => frame(1, 1, bytes.subarray(0, 4 + (place % (bytes.length - 4))))),
  ],
  'a method longer than its arguments': [
    501,
    fc.tuple(payload(NAMES), octets(1, 5)).map(([bytes, more]) => frame(1, 1, Buffer.concat([bytes, more]))),
  ],
  'a name that is not text': [501, fc.constant(frame(1, 1, Buffer.from([0, 50, 0, 10, 0, 0, 1, 0xff, 0, 0, 0, 0, 0])))],

  "a server's method": [503, well(OF_SERVER).map(({ name, args }) => method(1, name, args))],
  'a method of the connection on a channel': [
    503,
    well(NAMES.filter(isClass('connection'))).map(({ name, args }) => method(1, name, args)),
  ],
  'an exchange of no known type': [
    503,
    fc.constantFrom('', 'nope', 'Direct').map((type) => method(1, 'exchange.declare', { exchange: 'fuzz.no', type })),
  ],

  'a method on a channel that is not open': [
    504,
    well(NAMES.filter((name) => !hasContent(name) && name !== 'channel.open')).map(({ name, args }) =>
      method(2, name, args),
    ),
  ],
  'a channel opened again': [504, fc.constant(method(1, 'channel.open'))],
  'a method of a channel on the connection': [
    504,
    well(NAMES.filter((name) => !isClass('connection')(name))).map(({ name, args }) => method(0, name, args)),
  ],
  'a handshake again': [504, well(HANDSHAKE).map(({ name, args }) => method(0, name, args))],

  'content out of nowhere': [
    505,
    fc
      .tuple(fc.constantFrom(0, 1, 2), fc.boolean())
      .map(([channel, isBody]) => (isBody ? body(channel, Buffer.from('body')) : header(channel, 4))),
  ],
  'a heartbeat on a channel': [
    505,
    fc.integer({ min: 1, max: 9 }).map((channel) => frame(8, channel, Buffer.alloc(0))),
  ],
  'a method where a header should be': [505, well(NAMES).map(({ name, args }) => withContent(method(1, name, args)))],
  'a body where a header should be': [505, octets(0, 9).map((bytes) => withContent(body(1, bytes)))],
  'a method where a body should be': [
    505,
    well(NAMES).map(({ name, args }) => withContent(Buffer.concat([header(1, 9), method(1, name, args)]))),
  ],
  'a header where a body should be': [505, fc.constant(withContent(Buffer.concat([header(1, 9), header(1, 9)])))],
  'a header of another class': [
    505,
    fc
      .nat(255)
      .filter((id) => id !== 60)
      .map((id) => {
        const wrong = header(1, 0);
        wrong[8] = id;
        return withContent(wrong);
      }),
  ],
  'a body longer than announced': [
    505,
    octets(2, 40).map((bytes) => withContent(Buffer.concat([header(1, 1), body(1, bytes), method(1, 'basic.qos')]))),
  ],

  'a consumer tag used twice': [
    530,
    fc
      .constantFrom('a', 'fuzz')
      .map((consumerTag) =>
        Buffer.concat([
          method(1, 'queue.declare', { exclusive: true }),
          method(1, 'basic.consume', { consumerTag }),
          method(1, 'basic.consume', { consumerTag }),
        ]),
      ),
  ],
  'more channels than agreed': [
    530,
    fc.constant(Buffer.concat(Array.from({ length: 9 }, (_, index) => method(index + 2, 'channel.open')))),
  ],

  'what is not implemented': [
    540,
    fc.oneof(
      fc.constantFrom(
        method(1, 'basic.recover', { requeue: false }),
        method(1, 'channel.flow', { active: false }),
        Buffer.concat([method(1, 'basic.publish', { immediate: true }), content(1, Buffer.from('body'))]),
      ),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }).map((prefetchSize) => method(1, 'basic.qos', { prefetchSize })),
    ),
  ],

  'properties that end too early': [
    541,
    octets(0, 1).map((bytes) => {
      const fixed = Buffer.alloc(12);
      fixed[1] = 60;
      return withContent(frame(2, 1, Buffer.concat([fixed, bytes])));
    }),
  ],
  'properties that go on after the last': [
    541,
    octets(1, 9).map((bytes) => withContent(header(1, 0, Buffer.concat([encodeProperties({ type: 'a' }), bytes])))),
  ],
  'headers that make no sense': [
    541,
    NONSENSE.map((headers) => withContent(header(1, 0, Buffer.concat([Buffer.from([0x20, 0]), headers])))),
  ],

  'a method that is not known': [
    'dropped',
    fc
      .tuple(fc.integer({ min: 91, max: 255 }), fc.nat(255), octets(0, 9), fc.nat(2))
      .map(([classId, id, rest, channel]) =>
        frame(1, channel, Buffer.concat([Buffer.from([0, classId, 0, id]), rest])),
      ),
  ],
  'arguments that make no sense': [
    'dropped',
    NONSENSE.map((args) => frame(1, 1, Buffer.concat([Buffer.from([0, 50, 0, 10, 0, 0, 0, 0]), args]))),
  ],
};

/** What ends the channel alone. */
const OF_THE_CHANNEL: Readonly<Record<string, readonly [code: number, sent: readonly Buffer[]]>> = {
  'what nobody may do': [
    403,
    [
      method(1, 'queue.bind', { queue: 'fuzz.no', exchange: '', routingKey: 'a' }),
      method(1, 'exchange.delete', { exchange: 'amq.direct' }),
      method(1, 'exchange.declare', { exchange: 'amq.fuzz', type: 'direct' }),
      method(1, 'queue.declare', { queue: 'amq.fuzz' }),
    ],
  ],
  'what is not there': [
    404,
    [
      method(1, 'queue.declare', { queue: 'fuzz.no', passive: true }),
      method(1, 'exchange.declare', { exchange: 'fuzz.no', type: 'direct', passive: true }),
      method(1, 'basic.consume', { queue: 'fuzz.no' }),
      method(1, 'basic.get', { queue: 'fuzz.no' }),
      method(1, 'queue.purge', { queue: 'fuzz.no' }),
      Buffer.concat([method(1, 'basic.publish', { exchange: 'fuzz.no' }), content(1, Buffer.from('body'))]),
    ],
  ],
  'what does not fit': [
    406,
    [
      method(1, 'basic.ack', { deliveryTag: 7n }),
      method(1, 'basic.reject', { deliveryTag: 2n ** 64n - 1n }),
      method(1, 'tx.commit'),
      method(1, 'exchange.declare', { exchange: 'amq.topic', type: 'direct', durable: true }),
    ],
  ],
};

const login = Buffer.concat(LOGIN);
const ofConnection = Object.entries(AFTER_LOGIN).map(([name, [end, sent]]): [string, fc.Arbitrary<Mistake>] => [
  name,
  sent.map((bytes) => ({ bytes: Buffer.concat([login, bytes]), heard: { end, channelCodes: [] } })),
]);
const ofChannel = Object.entries(OF_THE_CHANNEL).map(([name, [code, sent]]): [string, fc.Arbitrary<Mistake>] => [
  name,
  fc
    .constantFrom(...sent)
    .map((bytes) => ({ bytes: Buffer.concat([login, bytes]), heard: { end: 'nothing', channelCodes: [code] } })),
]);
const unknownVirtualHost = fc
  .constantFrom('', 'nope', '//')
  .map((virtualHost) => method(0, 'connection.open', { virtualHost }))
  .map(
    (open): Mistake => ({ bytes: Buffer.concat([...LOGIN.slice(0, 3), open]), heard: { end: 530, channelCodes: [] } }),
  );
const otherGreeting = octets(8, 40)
  .filter((bytes) => bytes.toString('latin1', 0, 4) !== 'AMQP' && PROTOCOL_HEADER.compare(bytes) !== 0)
  .map((bytes): Mistake => ({ bytes, heard: { end: 'dropped', channelCodes: [] } }));

/** By what is wrong. */
export const MISTAKES: ReadonlyMap<string, fc.Arbitrary<Mistake>> = new Map([
  ...ofConnection,
  ...ofChannel,
  ['a virtual host that is not there', unknownVirtualHost],
  ['a greeting that is none', otherGreeting],
]);
