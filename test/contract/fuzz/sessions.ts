import fc from 'fast-check';
import { encodeMethod, encodeProperties, type Properties } from '../../../infra/local/broker/codec';
import type { FieldValue, Table } from '../../../infra/local/broker/fields';
import { frame } from '../../../infra/local/broker/framing';
import { type Arguments, type FieldKinds, METHODS, type MethodName } from '../../../infra/local/broker/methods';
import { body, content, header, method, PROTOCOL_HEADER } from '../../helpers/amqp-frames';
import { ALL_KINDS, allTables } from '../../unit/broker/values';
import type { Attack } from './attack';
import { EXCHANGES, GOODBYE, LOGIN, QUEUES, SESSION } from './frames';

/** Clients that are wrong at random: what they send, and how. */

const login = Buffer.concat(LOGIN);
const octets = (maxLength: number) => fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));

/** Nothing but noise, or noise after a greeting, a login, or between frames. */
const noise: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(fc.constantFrom(Buffer.alloc(0), PROTOCOL_HEADER, login), octets(400))
    .map(([start, bytes]) => Buffer.concat([start, bytes])),
  fc
    .array(
      fc
        .tuple(
          fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 2, 3, 8) }, fc.nat(255)),
          fc.constantFrom(0, 1, 2, 65_535),
          octets(60),
        )
        .map(([type, channel, bytes]) => frame(type, channel, bytes)),
      { maxLength: 10 },
    )
    .map((frames) => Buffer.concat([login, ...frames])),
);

const text = (...values: string[]) => fc.constantFrom(...values);
const field = allTables.map((table): FieldValue => [...table.values()][0] ?? { type: 'void', value: null });
const fieldOf = <T extends FieldValue['type']>(type: T, values: fc.Arbitrary<unknown>) =>
  values.map((value) => ({ type, value }) as FieldValue);
/** Mostly what belongs there, and sometimes anything. */
const mostly = (right: fc.Arbitrary<FieldValue>) => fc.oneof({ weight: 6, arbitrary: right }, field);
const count = mostly(fieldOf('signedint', fc.constantFrom(-1, 0, 1, 2, 5, 255, 100_000)));
const optional = (entries: Record<string, fc.Arbitrary<FieldValue>>): fc.Arbitrary<Table> =>
  fc.record(entries, { requiredKeys: [] }).map((fields) => new Map(Object.entries(fields) as [string, FieldValue][]));

const queueArguments = optional({
  'x-message-ttl': count,
  'x-expires': count,
  'x-max-length': count,
  'x-max-length-bytes': count,
  'x-max-priority': count,
  'x-overflow': mostly(fieldOf('longstr', text('drop-head', 'reject-publish', 'reject-publish-dlx'))),
  'x-dead-letter-exchange': mostly(fieldOf('longstr', text(...EXCHANGES))),
  'x-dead-letter-routing-key': mostly(fieldOf('longstr', text(...QUEUES))),
  'x-single-active-consumer': mostly(fieldOf('bool', fc.boolean())),
});
const otherArguments = optional({
  'x-match': mostly(fieldOf('longstr', text('all', 'any', 'all-with-x'))),
  'alternate-exchange': mostly(fieldOf('longstr', text(...EXCHANGES))),
  'x-priority': count,
  a: field,
});

/** What a field with this name is likely to hold; others hold anything of their kind. */
const LIKELY: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  ticket: fc.constant(0),
  queue: text(...QUEUES),
  exchange: text(...EXCHANGES),
  source: text(...EXCHANGES),
  destination: text(...EXCHANGES),
  routingKey: text('fuzz.1', 'fuzz.mortal', 'fuzz.own.1', '#', '*.a', 'a', ''),
  consumerTag: text('', 'a', 'b'),
  type: text('direct', 'fanout', 'topic', 'headers'),
  deliveryTag: fc.oneof(fc.bigInt({ min: 0n, max: 6n }), fc.constant(2n ** 64n - 1n)),
  prefetchSize: fc.constant(0),
  prefetchCount: fc.nat(3),
  virtualHost: fc.constant('/'),
  arguments: fc.oneof(fc.constant(new Map()), otherArguments),
};

const deaths = fieldOf(
  'array',
  fc.array(
    mostly(
      fieldOf(
        'table',
        optional({
          queue: mostly(fieldOf('longstr', text(...QUEUES))),
          reason: mostly(fieldOf('longstr', text('expired', 'maxlen', 'rejected'))),
          count: mostly(fieldOf('long', fc.constantFrom(1n, 2n ** 63n - 1n))),
          time: field,
          'routing-keys': field,
        }),
      ),
    ),
    { maxLength: 3 },
  ),
);
const copies = mostly(fieldOf('array', fc.array(mostly(fieldOf('longstr', text(...QUEUES))), { maxLength: 3 })));
const properties = fc.record(
  {
    headers: fc.oneof(allTables, optional({ CC: copies, BCC: copies, 'x-death': mostly(deaths), a: field })),
    expiration: text('0', '1', '20', '-1', 'x', '99999999999999999999'),
    priority: ALL_KINDS.octet,
    deliveryMode: ALL_KINDS.octet,
    replyTo: fc.oneof(text('amq.rabbitmq.reply-to', 'fuzz.1'), ALL_KINDS.shortstr),
    userId: text('guest', 'nobody'),
    timestamp: ALL_KINDS.longlong,
    correlationId: ALL_KINDS.shortstr,
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Properties>;

function likely<N extends MethodName>(name: N): fc.Arbitrary<Arguments<N>> {
  const kinds = Object.entries(METHODS[name].fields) as [string, keyof FieldKinds][];
  const values = kinds.map(([field, kind]) => {
    const anything = ALL_KINDS[kind] as fc.Arbitrary<unknown>;
    const known = name === 'queue.declare' && field === 'arguments' ? queueArguments : LIKELY[field];
    return [field, known === undefined ? anything : fc.oneof({ weight: 12, arbitrary: known }, anything)] as const;
  });
  const fields: Record<string, fc.Arbitrary<unknown>> = Object.fromEntries(values);
  return fc.record(fields) as fc.Arbitrary<Arguments<N>>;
}

const OF_CLIENT = (Object.keys(METHODS) as MethodName[]).filter(
  (name) => !name.endsWith('-ok') && !name.startsWith('connection.') && name !== 'channel.close',
);
const channel = fc.oneof({ weight: 20, arbitrary: fc.constantFrom(1, 2) }, fc.constantFrom(0, 4));
const bodies = octets(60).map((bytes) => (bytes.length % 7 === 0 ? Buffer.concat(Array(50).fill(bytes)) : bytes));

/** A method with its content, if it has any. */
const called = fc.oneof(
  fc
    .tuple(channel, fc.constantFrom(...OF_CLIENT))
    .chain(([number, name]) => likely(name).map((args) => frame(1, number, encodeMethod(name, args)))),
  fc
    .tuple(channel, likely('basic.publish'), properties, bodies)
    .map(([number, args, sent, bytes]) =>
      Buffer.concat([
        frame(1, number, encodeMethod('basic.publish', { ...args, immediate: false })),
        header(number, bytes.length, encodeProperties(sent)),
        ...(bytes.length > 0 ? [body(number, bytes)] : []),
      ]),
    ),
);

// Where messages die by the queue's own timer, with no client's error handling around.
const MORTAL = method(3, 'queue.declare', {
  queue: 'fuzz.mortal',
  arguments: new Map<string, FieldValue>([
    ['x-dead-letter-exchange', { type: 'longstr', value: '' }],
    ['x-message-ttl', { type: 'byte', value: 1 }],
    ['x-max-length', { type: 'byte', value: 2 }],
  ]),
});
const SETTING = [...LOGIN, method(2, 'channel.open'), method(3, 'channel.open'), MORTAL];

/** To the mortal queue, on a channel where nothing else is said. */
const letter = fc
  .tuple(properties, bodies)
  .map(([sent, bytes]) =>
    Buffer.concat([method(3, 'basic.publish', { routingKey: 'fuzz.mortal' }), content(3, bytes, sent)]),
  );

/** Whatever methods in whatever order. */
const conversation: fc.Arbitrary<Buffer[]> = fc
  .tuple(fc.array(fc.oneof({ weight: 4, arbitrary: called }, letter), { maxLength: 24 }), fc.boolean())
  .map(([calls, says]) => [...SETTING, ...calls, ...(says ? [GOODBYE] : [])]);

type Change = (frames: Buffer[], place: number, value: number) => Buffer[];
const inside =
  (change: (bytes: Buffer, place: number, value: number) => void): Change =>
  (frames, place, value) => {
    const index = place % frames.length;
    const bytes = Buffer.from(frames[index] as Buffer);
    change(bytes, value % 0x10000, value >>> 16);
    return frames.with(index, bytes);
  };

const CHANGES: readonly Change[] = [
  // A bit flips.
  inside((bytes, at, value) => {
    bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ (1 << (value % 8));
  }),
  // An octet is another.
  inside((bytes, at, value) => {
    bytes[at % bytes.length] = value;
  }),
  // Four octets, lengths perhaps, are far too large.
  inside((bytes, at, value) => {
    if (bytes.length >= 4) bytes.writeUInt32BE((0xffffffff - value) >>> 0, at % (bytes.length - 3));
  }),
  // The frame is of another channel.
  inside((bytes, at) => {
    if (bytes.length >= 3) bytes.writeUInt16BE([0, 1, 2, 3, 65_535][at % 5] as number, 1);
  }),
  // The frame claims another size.
  inside((bytes, at, value) => {
    if (bytes.length > 7) bytes.writeUInt32BE(value % 2 === 0 ? at % 64 : bytes.readUInt32BE(3) + 1, 3);
  }),
  // A frame is cut, lost, doubled, or comes too late.
  (frames, place, value) =>
    frames.with(place % frames.length, (frames[place % frames.length] as Buffer).subarray(0, value % 40)),
  (frames, place) => frames.toSpliced(place % frames.length, 1),
  (frames, place) => frames.toSpliced(place % frames.length, 0, frames[place % frames.length] as Buffer),
  (frames, place, value) =>
    frames
      .toSpliced(place % frames.length, 1)
      .toSpliced(value % frames.length, 0, frames[place % frames.length] as Buffer),
  // Tables that nest without end.
  (frames, place, value) => frames.toSpliced(place % frames.length, 0, deep(1 + (value % 1_200))),
  // Everything after is cut off.
  (frames, place) => frames.slice(0, 1 + (place % frames.length)),
];

const mutated = fc
  .tuple(
    fc.oneof(fc.constant(SESSION), conversation),
    fc.array(fc.tuple(fc.constantFrom(...CHANGES), fc.nat(), fc.nat(2 ** 31)), { minLength: 1, maxLength: 6 }),
  )
  .map(([frames, changes]) =>
    Buffer.concat(
      changes.reduce<Buffer[]>(
        (all, [change, place, value]) => (all.length === 0 ? all : change(all, place, value)),
        [...frames],
      ),
    ),
  );

function deep(depth: number): Buffer {
  let nested = Buffer.alloc(4);
  for (let level = 0; level < depth; level += 1) {
    const around = Buffer.concat([Buffer.alloc(4), Buffer.from('\x01aF'), nested]);
    around.writeUInt32BE(around.length - 4, 0);
    nested = around;
  }
  const fixed = Buffer.from([0, 50, 0, 10, 0, 0, 0, 0]);
  return frame(1, 1, Buffer.concat([fixed, nested]));
}

/** How a client sends and leaves; most do it like everybody. */
const manners: fc.Arbitrary<Omit<Attack, 'bytes'>> = fc.record({
  dribbleBytes: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, fc.integer({ min: 5, max: 200 })),
  reads: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
  leaves: fc.oneof(
    { weight: 6, arbitrary: fc.constant('politely' as const) },
    fc.constantFrom('rudely' as const, 'stays' as const),
  ),
});

const attacks = (bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Attack> =>
  fc.tuple(bytes, manners).map(([sent, how]) => ({ bytes: sent, ...how }));

/** Kinds of clients by what they send. */
export const ATTACKS = {
  noise: attacks(noise),
  conversations: attacks(conversation.map((frames) => Buffer.concat(frames))),
  mutations: attacks(mutated),
} as const;
