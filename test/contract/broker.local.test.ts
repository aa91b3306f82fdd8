import { connect as dial } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ChannelModel, connect } from 'amqplib';
import { type Broker, type BrokerOptions, startBroker } from '../../infra/local/broker/broker';
import { decodeMethod, encodeMethod } from '../../infra/local/broker/codec';
import { type Frame, FrameReader, frame } from '../../infra/local/broker/framing';
import type { Method } from '../../infra/local/broker/methods';

/**
 * What the embedded broker promises beyond RabbitMQ's behaviour: its start and end, its limits, and errors
 * that amqplib does not show.
 */

const brokers: Broker[] = [];

async function start(options: BrokerOptions = {}): Promise<Broker> {
  const broker = await startBroker({ port: 0, ...options });
  brokers.push(broker);
  return broker;
}

let broker: Broker;

beforeEach(async () => {
  broker = await start();
});

afterEach(async () => {
  await Promise.all(brokers.splice(0).map((each) => each.close()));
});

async function client(url = broker.url): Promise<ChannelModel> {
  const connection = await connect(url, { noDelay: true });
  connection.on('error', () => undefined);
  return connection;
}

describe('starting and closing', () => {
  test('the port of another broker is refused with EADDRINUSE', async () => {
    await expect(startBroker({ port: broker.port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  test('the url carries the credentials that were asked for', async () => {
    const guarded = await start({ users: { 'a b': 'p/w' } });
    expect(guarded.url).toBe(`amqp://a%20b:p%2Fw@127.0.0.1:${guarded.port}`);
    await (await client(guarded.url)).close();
    await expect(connect(guarded.url.replace('p%2Fw', 'x'))).rejects.toThrow('403');
  });

  test('closeAllConnections tells every client why and leaves the broker running', async () => {
    const connections = await Promise.all([client(), client()]);
    const closed = connections.map(
      (connection) => new Promise<Error>((resolve) => connection.once('close', (error) => resolve(error))),
    );
    broker.closeAllConnections('maintenance');
    for (const error of await Promise.all(closed)) {
      expect(error.message).toContain('320 (CONNECTION-FORCED) with message "CONNECTION_FORCED - maintenance"');
    }
    await (await client()).close();
  });

  test('close frees the port and ends even clients that never answer', async () => {
    const silent = dial(broker.port, '127.0.0.1');
    silent.on('error', () => undefined);
    const hungUp = new Promise((resolve) => silent.once('close', resolve));
    await new Promise((resolve) => silent.once('connect', resolve));
    const { port } = broker;
    await broker.close();
    await hungUp;
    await start({ port });
  });
});

describe('limits', () => {
  test('a message above the limit is 406 and is not kept', async () => {
    const small = await start({ maxMessageBytes: 1000 });
    const channel = await (await client(small.url)).createChannel();
    const failure = new Promise<Error>((resolve) => channel.once('error', resolve));
    channel.sendToQueue('any', Buffer.alloc(1001));
    expect((await failure).message).toContain(
      'PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000',
    );
  });

  test('a consumer that does not read is not sent everything, and gets the rest once it reads', async () => {
    const publisher = await (await client()).createConfirmChannel();
    const { queue } = await publisher.assertQueue('slow');
    const slow = await wire();
    slow.login();
    const consume = { ticket: 0, queue, consumerTag: 't', noLocal: false, noAck: true, exclusive: false };
    slow.send(
      openChannel(1),
      frame(1, 1, encodeMethod('basic.consume', { ...consume, nowait: false, arguments: new Map() })),
    );
    await until(() => slow.methods().some(({ name }) => name === 'basic.consume-ok'));
    slow.pause();
    const [count, body] = [400, Buffer.alloc(100_000)];
    for (let index = 0; index < count; index += 1) publisher.sendToQueue(queue, body);
    await publisher.waitForConfirms();
    // The sockets of both sides hold some megabytes; the rest waits in the queue.
    expect((await publisher.checkQueue(queue)).messageCount).toBeGreaterThan(count / 4);
    slow.resume();
    await until(() => slow.frames.filter(({ type }) => type === 3).length === count);
  });

  test('a client that asks for more than it reads waits for its answers, and gets them all once it reads', async () => {
    const publisher = await (await client()).createConfirmChannel();
    const { queue } = await publisher.assertQueue('greedy');
    publisher.sendToQueue(queue, Buffer.alloc(1024 * 1024));
    await publisher.waitForConfirms();
    const greedy = await wire();
    greedy.login();
    greedy.send(openChannel(1));
    await until(() => greedy.methods().some(({ name }) => name === 'channel.open-ok'));
    greedy.pause();
    const count = 100;
    const before = process.memoryUsage().arrayBuffers;
    for (let tag = 1; tag <= count; tag += 1) {
      greedy.send(
        frame(1, 1, encodeMethod('basic.get', { ticket: 0, queue, noAck: false })),
        frame(1, 1, encodeMethod('basic.reject', { deliveryTag: BigInt(tag), requeue: true })),
      );
    }
    for (let n = 0; n < 50; n += 1) await publisher.checkExchange('amq.direct');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    greedy.resume();
    await until(() => greedy.methods().filter(({ name }) => name === 'basic.get-ok').length === count);
  });

  test('a client that falls silent for two heartbeats is dropped, and one that beats is kept', async () => {
    const beating = await connect(`${broker.url}?heartbeat=1`);
    const silent = await wire();
    silent.login({ heartbeat: 1 });
    const ended = silent.ended.then(() => 'ended');
    expect(await ended).toBe('ended');
    expect(silent.frames.some(({ type }) => type === 8)).toBe(true);
    await beating.createChannel();
    await beating.close();
  });
});

describe('errors on the wire', () => {
  test.each([
    ['GET / HT', 'an unknown protocol'],
    ['AMQP\x00\x01\x00\x00', 'AMQP 1.0'],
  ])('%j is answered by the protocol header and hung up on', async (header) => {
    const raw = await wire();
    raw.send(Buffer.from(header, 'latin1'));
    await raw.ended;
    expect(raw.bytes().toString('latin1')).toBe('AMQP\0\0\x09\x01');
  });

  test('an unknown virtual host is 530', async () => {
    const raw = await wire();
    raw.login({ virtualHost: 'nowhere' });
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 530,
      replyText: 'NOT_ALLOWED - vhost nowhere not found',
      classId: 10,
      methodId: 40,
    });
  });

  test('a method on a channel that is not open is 504', async () => {
    const raw = await wire();
    raw.login();
    raw.send(frame(1, 3, encodeMethod('basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false })));
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 504,
      replyText: "CHANNEL_ERROR - expected 'channel.open'",
      classId: 60,
      methodId: 10,
    });
  });

  test('opening a channel twice is 504', async () => {
    const raw = await wire();
    raw.login();
    raw.send(openChannel(1), openChannel(1));
    expect(await raw.closeReason()).toMatchObject({
      replyText: "CHANNEL_ERROR - second 'channel.open' seen",
    });
  });

  test('more channels than agreed are 530', async () => {
    const raw = await wire();
    raw.login({ channelMax: 2 });
    raw.send(openChannel(5), openChannel(6), openChannel(7));
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 530,
      replyText: 'NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)',
    });
  });

  test('a body where a method belongs is 505', async () => {
    const raw = await wire();
    raw.login();
    raw.send(openChannel(1), frame(3, 1, Buffer.from('body')));
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 505,
      replyText: 'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    });
  });

  test('a frame without its end is 501', async () => {
    const raw = await wire();
    raw.login();
    const broken = openChannel(1);
    broken[broken.length - 1] = 1;
    raw.send(broken);
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 501,
      replyText: expect.stringMatching(/^FRAME_ERROR - type 1, .*\{invalid_frame_end_marker,1\}$/),
    });
  });

  test('immediate is 540', async () => {
    const raw = await wire();
    raw.login();
    const publish = { ticket: 0, exchange: '', routingKey: 'k', mandatory: false, immediate: true };
    const header = Buffer.alloc(14);
    header.writeUInt16BE(60, 0);
    raw.send(openChannel(1), frame(1, 1, encodeMethod('basic.publish', publish)), frame(2, 1, header));
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - immediate=true',
    });
  });

  test('after its own close the broker waits for the client to hang up', async () => {
    const raw = await wire();
    raw.login();
    raw.send(frame(1, 0, encodeMethod('connection.close', { replyCode: 200, replyText: '', classId: 0, methodId: 0 })));
    await raw.until(() => raw.methods().some(({ name }) => name === 'connection.close-ok'));
    // Still there: an echo of the event loop both ways would have shown the end.
    await (await client()).close();
    expect(raw.open()).toBe(true);
    raw.hangUp();
    await raw.ended;
  });
});

const openChannel = (number: number) => frame(1, number, encodeMethod('channel.open', { outOfBand: '' }));

/** A client of bare frames, for what amqplib would never send and what it does not show. */
async function wire() {
  const socket = dial(broker.port, '127.0.0.1');
  const reader = new FrameReader(131_072);
  const chunks: Buffer[] = [];
  const frames: Frame[] = [];
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    // An answer that is no frame is looked at as bytes.
    if (chunks[0]?.toString('latin1', 0, 4) === 'AMQP') return;
    reader.push(chunk);
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      frames.push({ ...next, payload: Buffer.from(next.payload) });
    }
  });
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise((resolve) => socket.once('connect', resolve));
  const send = (...bytes: Buffer[]) => void socket.write(Buffer.concat(bytes));
  const methods = (): Method[] => frames.filter(({ type }) => type === 1).map(({ payload }) => decodeMethod(payload));
  return {
    frames,
    ended,
    send,
    methods,
    until,
    bytes: () => Buffer.concat(chunks),
    open: () => !socket.closed && socket.readable,
    hangUp: () => socket.end(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    login({ heartbeat = 0, channelMax = 2047, virtualHost = '/' } = {}) {
      const start = {
        clientProperties: new Map(),
        mechanism: 'PLAIN',
        response: Buffer.from('\0guest\0guest'),
        locale: 'en_US',
      };
      send(
        Buffer.from('AMQP\0\0\x09\x01', 'latin1'),
        frame(1, 0, encodeMethod('connection.start-ok', start)),
        frame(1, 0, encodeMethod('connection.tune-ok', { channelMax, frameMax: 131_072, heartbeat })),
        frame(1, 0, encodeMethod('connection.open', { virtualHost, capabilities: '', insist: false })),
      );
    },
    async closeReason() {
      await until(() => methods().some(({ name }) => name === 'connection.close'));
      const close = methods().find(({ name }) => name === 'connection.close');
      socket.end(frame(1, 0, encodeMethod('connection.close-ok', {})));
      return close?.args;
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 4_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('did not happen within four seconds');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
