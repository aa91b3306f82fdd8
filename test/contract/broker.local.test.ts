import { connect as dial } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ChannelModel, connect } from 'amqplib';
import { type Broker, type BrokerOptions, startBroker } from '../../infra/local/broker/broker';
import { frame } from '../../infra/local/broker/framing';
import { header, method } from '../helpers/amqp-frames';
import { bareClient, until } from '../helpers/bare-client';
import { usedByBuffers } from '../helpers/memory';

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

const wire = () => bareClient(broker.port);

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

  test('a broker that listens everywhere names an address that can be dialled', async () => {
    const open = await start({ host: '0.0.0.0' });
    expect(open.url).toBe(`amqp://guest:guest@127.0.0.1:${open.port}`);
    await (await client(open.url)).close();
  });

  test('its limits are proposed to clients, and none that shuts every client out is taken', async () => {
    const small = await start({ maxChannels: 5, maxFrameBytes: 8192, heartbeatSeconds: 7 });
    const raw = await bareClient(small.port);
    raw.login();
    await raw.received('connection.tune');
    const tune = raw.methods().find(({ name }) => name === 'connection.tune');
    expect(tune?.args).toEqual({ channelMax: 5, frameMax: 8192, heartbeat: 7 });
    await expect(startBroker({ port: 0, maxChannels: 0 })).rejects.toThrow(RangeError);
    await expect(startBroker({ port: 0, maxFrameBytes: 4095 })).rejects.toThrow(RangeError);
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
    slow.send(method(1, 'channel.open'), method(1, 'basic.consume', { ...consume }));
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

  test('a transaction may settle more messages than a call takes arguments', async () => {
    const channel = await (await client()).createChannel();
    const { queue } = await channel.assertQueue('many');
    const count = 150_000;
    const raw = await wire();
    raw.login();
    raw.send(method(1, 'channel.open'), method(1, 'tx.select'), method(1, 'basic.consume', { queue }));
    const publish = Buffer.concat([method(2, 'basic.publish', { routingKey: queue }), header(2, 0)]);
    raw.send(method(2, 'channel.open'), Buffer.alloc(count * publish.length, publish));
    // Each delivery is a method and a header.
    await until(() => raw.frames.length > 2 * count);
    const before = raw.frames.length;
    raw.send(method(1, 'basic.ack', { multiple: true }), method(1, 'tx.commit'));
    await until(() => raw.frames.length > before);
    expect(raw.methods().at(-1)?.name).toBe('tx.commit-ok');
    raw.destroy();
    await until(() => broker.heldBytes === 0);
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 });
  });

  test('a chain of auto-deleted exchanges goes with its queue, however long it is', async () => {
    const raw = await wire();
    raw.login();
    const length = 6_000;
    const exchange = (index: number) => `link.${index}`;
    raw.send(method(1, 'channel.open'), method(1, 'queue.declare', { queue: 'end', exclusive: true, nowait: true }));
    for (let index = 0; index < length; index += 1) {
      const declare = { exchange: exchange(index), type: 'fanout', autoDelete: true, nowait: true };
      raw.send(method(1, 'exchange.declare', declare));
      const bind = { destination: exchange(index), source: exchange(index - 1), nowait: true };
      if (index > 0) raw.send(method(1, 'exchange.bind', bind));
    }
    raw.send(method(1, 'queue.bind', { queue: 'end', exchange: exchange(length - 1) }));
    await raw.received('queue.bind-ok');
    raw.destroy();
    await until(() => broker.connections.length === 0);
    const channel = await (await client()).createChannel();
    channel.on('error', () => undefined);
    await expect(channel.checkExchange(exchange(0))).rejects.toThrow(
      "404 (NOT-FOUND) with message \"NOT_FOUND - no exchange 'link.0'",
    );
  });

  test('a client that asks for more than it reads waits for its answers, and gets them all once it reads', async () => {
    const publisher = await (await client()).createConfirmChannel();
    const { queue } = await publisher.assertQueue('greedy');
    publisher.sendToQueue(queue, Buffer.alloc(1024 * 1024));
    await publisher.waitForConfirms();
    const greedy = await wire();
    greedy.login();
    greedy.send(method(1, 'channel.open'));
    await until(() => greedy.methods().some(({ name }) => name === 'channel.open-ok'));
    greedy.pause();
    const count = 100;
    const before = usedByBuffers();
    for (let tag = 1; tag <= count; tag += 1) {
      greedy.send(
        method(1, 'basic.get', { ticket: 0, queue, noAck: false }),
        method(1, 'basic.reject', { deliveryTag: BigInt(tag), requeue: true }),
      );
    }
    for (let n = 0; n < 50; n += 1) await publisher.checkExchange('amq.direct');
    expect(usedByBuffers() - before).toBeLessThan(64 * 1024 * 1024);
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
    raw.send(method(3, 'basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false }));
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
    raw.send(method(1, 'channel.open'), method(1, 'channel.open'));
    expect(await raw.closeReason()).toMatchObject({
      replyText: "CHANNEL_ERROR - second 'channel.open' seen",
    });
  });

  test('more channels than agreed are 530', async () => {
    const raw = await wire();
    raw.login({ channelMax: 2 });
    raw.send(method(5, 'channel.open'), method(6, 'channel.open'), method(7, 'channel.open'));
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 530,
      replyText: 'NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)',
    });
  });

  test('a body where a method belongs is 505', async () => {
    const raw = await wire();
    raw.login();
    raw.send(method(1, 'channel.open'), frame(3, 1, Buffer.from('body')));
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 505,
      replyText: 'UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    });
  });

  test('a frame without its end is 501', async () => {
    const raw = await wire();
    raw.login();
    const broken = method(1, 'channel.open');
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
    raw.send(method(1, 'channel.open'), method(1, 'basic.publish', publish), frame(2, 1, header));
    expect(await raw.closeReason()).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - immediate=true',
    });
  });

  test('after its own close the broker waits for the client to hang up', async () => {
    const raw = await wire();
    raw.login();
    raw.send(method(0, 'connection.close', { replyCode: 200 }));
    await raw.received('connection.close-ok');
    // Still there: an echo of the event loop both ways would have shown the end.
    await (await client()).close();
    expect(raw.open()).toBe(true);
    raw.hangUp();
    await raw.ended;
  });
});
