import { connect as dial } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from 'amqplib';
import fc from 'fast-check';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { encodeMethod, encodeProperties } from '../../infra/local/broker/codec';
import type { FieldValue, Table } from '../../infra/local/broker/fields';
import { frame } from '../../infra/local/broker/framing';
import { type Arguments, type FieldKinds, METHODS, type MethodName } from '../../infra/local/broker/methods';

/** Whatever bytes a client sends, the broker goes on for all others. */

let broker: Broker;
const escaped: unknown[] = [];
const onEscape = (error: unknown) => escaped.push(error);

beforeAll(async () => {
  process.on('uncaughtException', onEscape);
  process.on('unhandledRejection', onEscape);
  broker = await startBroker({ port: 0 });
});

afterEach(async () => {
  expect(escaped).toEqual([]);
  await expectHealthy();
});

afterAll(async () => {
  await broker.close();
  process.off('uncaughtException', onEscape);
  process.off('unhandledRejection', onEscape);
});

const EMPTY: { [K in keyof FieldKinds]: FieldKinds[K] } = {
  octet: 0,
  short: 0,
  long: 0,
  longlong: 0n,
  bit: false,
  shortstr: '',
  longstr: Buffer.alloc(0),
  table: new Map() as Table,
};

function method<N extends MethodName>(channel: number, name: N, args: Partial<Arguments<N>> = {}): Buffer {
  const fields = Object.entries(METHODS[name].fields) as [string, keyof FieldKinds][];
  const empty = Object.fromEntries(fields.map(([field, kind]) => [field, EMPTY[kind]]));
  return frame(1, channel, encodeMethod(name, { ...empty, ...args } as Arguments<N>));
}

function content(channel: number, body: Buffer, flags = 0): Buffer {
  const header = Buffer.alloc(14);
  header.writeUInt16BE(60, 0);
  header.writeBigUInt64BE(BigInt(body.length), 4);
  header.writeUInt16BE(flags, 12);
  return Buffer.concat([frame(2, channel, header), frame(3, channel, body)]);
}

const PROTOCOL_HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
const LOGIN = [
  PROTOCOL_HEADER,
  method(0, 'connection.start-ok', {
    mechanism: 'PLAIN',
    response: Buffer.from('\0guest\0guest'),
    locale: 'en_US',
  }),
  method(0, 'connection.tune-ok', { channelMax: 2047, frameMax: 131_072, heartbeat: 60 }),
  method(0, 'connection.open', { virtualHost: '/' }),
  method(1, 'channel.open'),
];

/** A session that uses a bit of everything. */
const SESSION = [
  ...LOGIN,
  method(1, 'exchange.declare', { exchange: 'fuzz', type: 'topic', autoDelete: true }),
  method(1, 'queue.declare', {
    exclusive: true,
    arguments: new Map([['x-max-length', { type: 'signedint', value: 9 }]]),
  }),
  method(1, 'queue.bind', { exchange: 'fuzz', routingKey: '#.a.*' }),
  method(1, 'confirm.select'),
  method(1, 'basic.consume', { consumerTag: 'fuzz' }),
  method(1, 'basic.publish', { exchange: 'fuzz', routingKey: 'x.a.y', mandatory: true }),
  content(1, Buffer.from('body')),
  method(1, 'basic.ack', { deliveryTag: 1n }),
  method(1, 'basic.get', {}),
  method(1, 'basic.cancel', { consumerTag: 'fuzz' }),
  method(1, 'channel.close', { replyCode: 200, replyText: 'bye' }),
  method(0, 'connection.close', { replyCode: 200, replyText: 'bye' }),
];

/** Sends it and leaves, politely or not, once the broker has had its turn. */
function attack(bytes: Buffer, polite: boolean, lingerMs = 0): Promise<void> {
  return new Promise((resolve) => {
    const socket = dial(broker.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    // Reading keeps the socket flowing; what comes is not looked at.
    socket.on('data', () => undefined);
    socket.on('connect', () => {
      socket.write(bytes, () => {
        if (lingerMs > 0) setTimeout(() => socket.end(), lingerMs);
        else if (polite) socket.end();
        else socket.resetAndDestroy();
      });
      // A broker that waits for more of us hangs up only after we do.
      setTimeout(() => socket.destroy(), 1_000).unref();
    });
  });
}

async function expectHealthy(): Promise<void> {
  const connection = await connect(broker.url);
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('alive'));
  await channel.waitForConfirms();
  const message = await channel.get(queue, { noAck: true });
  expect(message ? message.content.toString() : undefined).toBe('alive');
  await connection.close();
}

const runs = (numRuns: number) => ({ numRuns, interruptAfterTimeLimit: 4_000 });

describe('the embedded broker survives', () => {
  test('random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.boolean(), fc.boolean(), (bytes, greets, polite) =>
        attack(Buffer.concat([greets ? PROTOCOL_HEADER : Buffer.alloc(0), bytes]), polite),
      ),
      runs(70),
    );
  });

  test('random frames after a login', async () => {
    const anyFrame = fc
      .record({
        type: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 2, 3, 8) }, fc.nat(255)),
        channel: fc.constantFrom(0, 1, 2, 65_535),
        payload: fc.uint8Array({ maxLength: 60 }),
      })
      .map(({ type, channel, payload }) => frame(type, channel, Buffer.from(payload)));
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 10 }), fc.boolean(), (frames, polite) =>
        attack(Buffer.concat([...LOGIN, ...frames]), polite),
      ),
      runs(70),
    );
  });

  test('every method with random arguments, in any order', async () => {
    const names = Object.keys(METHODS) as MethodName[];
    const called = fc
      .tuple(fc.constantFrom(...names), fc.uint8Array({ maxLength: 40 }), fc.constantFrom(0, 1, 2))
      .map(([name, rest, channel]) => {
        const [classId, methodId] = METHODS[name].id;
        return frame(1, channel, Buffer.concat([Buffer.from([0, classId, 0, methodId]), rest]));
      });
    const wellFormed = fc
      .tuple(fc.constantFrom(...names), fc.constantFrom(0, 1, 2))
      .map(([name, channel]) => method(channel, name));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(called, wellFormed), { maxLength: 20 }), (calls) =>
        attack(Buffer.concat([...LOGIN, ...calls]), true),
      ),
      runs(70),
    );
  });

  test('a session with some of its bytes changed', async () => {
    const whole = Buffer.concat(SESSION);
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), fc.boolean(), (changes, polite) => {
        const bytes = Buffer.from(whole);
        for (const [at, byte] of changes) bytes[at] = byte;
        return attack(bytes, polite);
      }),
      runs(100),
    );
  });

  test('messages whose headers pretend to have died before, in queues where they die', async () => {
    const leaf: fc.Arbitrary<FieldValue> = fc.oneof(
      fc.constantFrom<FieldValue>(
        { type: 'long', value: 2n ** 63n - 1n },
        { type: 'unsignedlong', value: 2n ** 64n - 1n },
        { type: 'double', value: 1.5 },
        { type: 'double', value: Number.POSITIVE_INFINITY },
        { type: 'void', value: null },
        { type: 'longstr', value: Buffer.from([0xff]) },
      ),
    );
    const text = (...values: string[]) =>
      fc.constantFrom(...values).map((value): FieldValue => ({ type: 'longstr', value }));
    const death = fc
      .record(
        {
          queue: fc.oneof({ weight: 4, arbitrary: text('mortal') }, leaf),
          reason: fc.oneof({ weight: 4, arbitrary: text('maxlen', 'expired') }, leaf),
          count: leaf,
          time: leaf,
          'routing-keys': leaf,
        },
        { requiredKeys: ['queue', 'reason'] },
      )
      .map((fields): FieldValue => ({ type: 'table', value: new Map(Object.entries(fields)) }));
    const list = fc
      .array(fc.oneof({ weight: 4, arbitrary: death }, leaf), { maxLength: 4 })
      .map((value): FieldValue => ({ type: 'array', value }));
    const headers = fc.dictionary(
      fc.constantFrom('x-death', 'CC', 'BCC', 'x-first-death-queue', 'own'),
      fc.oneof({ weight: 4, arbitrary: list }, leaf),
    );
    const mortal = new Map<string, FieldValue>([
      ['x-dead-letter-exchange', { type: 'longstr', value: '' }],
      ['x-message-ttl', { type: 'byte', value: 1 }],
      ['x-max-length', { type: 'byte', value: 2 }],
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(headers, { minLength: 1, maxLength: 4 }), (messages) => {
        const published = messages.map((fields) => {
          const properties = encodeProperties({ headers: new Map(Object.entries(fields)) });
          const start = Buffer.alloc(12);
          start.writeUInt16BE(60, 0);
          const header = frame(2, 1, Buffer.concat([start, properties]));
          return Buffer.concat([method(1, 'basic.publish', { routingKey: 'mortal' }), header]);
        });
        const declare = method(1, 'queue.declare', { queue: 'mortal', exclusive: true, arguments: mortal });
        // Long enough for messages to die by the queue's own timer, where no client's error handling is around.
        return attack(Buffer.concat([...LOGIN, declare, ...published]), true, 8);
      }),
      runs(60),
    );
  });

  test('a session cut off anywhere', async () => {
    const whole = Buffer.concat(SESSION);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length), fc.boolean(), (length, polite) =>
        attack(whole.subarray(0, length), polite),
      ),
      runs(70),
    );
  });

  test('a session with frames left out, doubled and swapped', async () => {
    const picks = fc.array(fc.nat(SESSION.length - 1), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(picks, (indexes) =>
        attack(Buffer.concat([...LOGIN, ...indexes.map((index) => SESSION[index] as Buffer)]), true),
      ),
      runs(70),
    );
  });
});
