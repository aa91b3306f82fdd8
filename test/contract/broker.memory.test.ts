import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ChannelModel, type ConfirmChannel, connect, type Options } from 'amqplib';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { encodeProperties } from '../../infra/local/broker/codec';
import { body as bodyFrame, header, method } from '../helpers/amqp-frames';
import { bareClient, until } from '../helpers/bare-client';
import { usedByBuffers } from '../helpers/memory';

/** What the embedded broker holds is bounded: it counts it, and stops publishers above its mark. */

const MIB = 1024 * 1024;
const MARK = 8 * MIB;

let broker: Broker;

beforeEach(async () => {
  broker = await startBroker({ port: 0, memoryHighWaterBytes: MARK });
});

afterEach(() => broker.close());

async function client(): Promise<ChannelModel> {
  const connection = await connect(broker.url, { noDelay: true });
  connection.on('error', () => undefined);
  return connection;
}

async function open(): Promise<{ connection: ChannelModel; channel: ConfirmChannel }> {
  const connection = await client();
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  return { connection, channel };
}

const once = <T>(emitter: { once(event: string, listener: (value: T) => void): unknown }, event: string) =>
  new Promise<T>((resolve) => emitter.once(event, resolve));

describe('what is held', () => {
  const BODY = Buffer.alloc(100_000);

  async function holding(channel: ConfirmChannel, count: number, options: Options.AssertQueue = {}): Promise<string> {
    const { queue } = await channel.assertQueue('', options);
    for (let n = 0; n < count; n += 1) channel.sendToQueue(queue, BODY);
    await channel.waitForConfirms();
    return queue;
  }

  async function gone(channel: ConfirmChannel): Promise<void> {
    // An answer to what was sent after it: all before is done.
    await channel.checkExchange('amq.direct');
    await until(() => broker.heldBytes === 0);
  }

  test('a message counts once, however many queues hold it', async () => {
    const { channel } = await open();
    for (const queue of ['a', 'b', 'c']) {
      await channel.assertQueue(queue);
      await channel.bindQueue(queue, 'amq.fanout', '');
    }
    channel.publish('amq.fanout', '', BODY);
    await channel.waitForConfirms();
    const stays = broker.heldBytes - BODY.length;
    expect([stays > 0, stays < 3_000]).toEqual([true, true]);
    await channel.purgeQueue('a');
    await channel.purgeQueue('b');
    expect(broker.heldBytes).toBeGreaterThan(BODY.length);
    await channel.purgeQueue('c');
    expect(broker.heldBytes).toBe(0);
  });

  test('unsettled messages count until they are acknowledged', async () => {
    const { channel } = await open();
    const queue = await holding(channel, 2);
    const [first, second] = [await channel.get(queue), await channel.get(queue)];
    if (!first || !second) throw new Error('nothing came');
    channel.nack(first, false, true);
    await channel.checkQueue(queue);
    expect(broker.heldBytes).toBeGreaterThan(2 * BODY.length);
    await channel.get(queue);
    channel.ackAll();
    await gone(channel);
  });

  const ends: Record<string, (channel: ConfirmChannel, connection: ChannelModel) => Promise<unknown>> = {
    'rejected without a dead letter exchange': async (channel) => {
      const message = await channel.get(await holding(channel, 1));
      if (message) channel.nack(message, false, false);
    },
    'fetched without acknowledgement': async (channel) => channel.get(await holding(channel, 1), { noAck: true }),
    'consumed without acknowledgement': async (channel) => {
      const queue = await holding(channel, 1);
      await new Promise((resolve) => channel.consume(queue, resolve, { noAck: true }));
      await holding(channel, 0);
      channel.sendToQueue(queue, BODY);
      await channel.waitForConfirms();
    },
    expired: (channel) => holding(channel, 2, { messageTtl: 20 }),
    'dropped above a limit': async (channel) => channel.purgeQueue(await holding(channel, 5, { maxLength: 1 })),
    'dead, and dropped for want of a queue': async (channel) =>
      holding(channel, 2, { messageTtl: 1, deadLetterExchange: 'amq.direct' }),
    'refused by a full queue': (channel) =>
      holding(channel, 3, { maxLength: 0, arguments: { 'x-overflow': 'reject-publish' } }).catch(() => undefined),
    'in a queue that is deleted, some unsettled': async (channel) => {
      const queue = await holding(channel, 3);
      await channel.get(queue);
      await channel.deleteQueue(queue);
      channel.ackAll();
    },
    'in a quorum queue and acknowledged': async (channel) => {
      const queue = await holding(channel, 0);
      await channel.deleteQueue(queue);
      await channel.assertQueue('quorum', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
      channel.sendToQueue('quorum', BODY);
      await channel.waitForConfirms();
      await channel.get('quorum');
      channel.ackAll();
    },
    'unsettled in an exclusive queue whose connection ends': async (channel, connection) => {
      await channel.get(await holding(channel, 3, { exclusive: true }));
      await connection.close();
    },
    unroutable: async (channel) => {
      channel.publish('amq.direct', 'nowhere', BODY);
      await channel.waitForConfirms();
    },
  };

  test.each(Object.entries(ends))('nothing counts of messages that are %s', async (_, bringAbout) => {
    const { connection, channel } = await open();
    await bringAbout(channel, connection);
    await gone((await open()).channel);
  });

  test('what a transaction holds back counts until it is rolled back or its channel ends', async () => {
    for (const end of ['tx.rollback', 'channel.close'] as const) {
      const bare = await bareClient(broker.port);
      bare.login();
      bare.send(method(1, 'channel.open'), method(1, 'tx.select', {}), ...publish('amq.fanout', BODY));
      await until(() => broker.heldBytes > BODY.length);
      if (end === 'tx.rollback') bare.send(method(1, end, {}));
      else bare.send(method(1, end, { replyCode: 200 }));
      await until(() => broker.heldBytes === 0);
      bare.destroy();
    }
  });

  test('a message that is still arriving counts until its connection ends', async () => {
    const bare = await bareClient(broker.port);
    bare.login();
    bare.send(method(1, 'channel.open'), ...publish('', Buffer.alloc(300_000)).slice(0, -1));
    await until(() => broker.heldBytes >= 200_000);
    bare.destroy();
    await until(() => broker.heldBytes === 0);
  });
});

describe('above the mark', () => {
  test('publishers are stopped, consumers go on, and what they take lets publishers go on', async () => {
    const [publisher, consumer] = [await open(), await open()];
    const { queue } = await consumer.channel.assertQueue('');
    const blocked = once(publisher.connection, 'blocked');
    const count = 60;
    for (let n = 0; n < count; n += 1) publisher.channel.sendToQueue(queue, Buffer.alloc(MIB / 2));
    await blocked;
    const { messageCount } = await consumer.channel.checkQueue(queue);
    expect(messageCount).toBeLessThan(20);
    expect(broker.heldBytes).toBeLessThan(MARK + MIB);

    const unblocked = once(publisher.connection, 'unblocked');
    let most = 0;
    let taken = 0;
    await new Promise<void>((resolve) => {
      consumer.channel.consume(queue, (message) => {
        most = Math.max(most, broker.heldBytes);
        taken += 1;
        if (message) consumer.channel.ack(message);
        if (taken === count) resolve();
      });
    });
    await unblocked;
    await publisher.channel.waitForConfirms();
    expect(most).toBeLessThan(MARK + MIB);
  });

  test('a publisher whose own message ends the alarm goes on', async () => {
    const { connection, channel } = await open();
    const told: string[] = [];
    for (const event of ['blocked', 'unblocked']) connection.on(event, () => told.push(event));
    const kept = await channel.assertQueue('');
    const { queue } = await channel.assertQueue('');
    await channel.consume(queue, () => undefined, { noAck: true });
    channel.sendToQueue(kept.queue, Buffer.alloc(MARK - 100_000));
    await channel.waitForConfirms();
    // Two frames: with the first it is above the mark, and with the second gone to its consumer.
    channel.sendToQueue(queue, Buffer.alloc(200_000));
    channel.sendToQueue(queue, Buffer.from('next'));
    await channel.waitForConfirms();
    expect(told).toEqual(['blocked', 'unblocked']);
  });

  test('many publishers together stay within the mark and one frame each', async () => {
    const publishers = await Promise.all(Array.from({ length: 20 }, () => bareClient(broker.port)));
    // None is ever completed: nothing of it is in a queue.
    const frames = publish('', Buffer.alloc(4 * MIB));
    const [start, more] = [frames.slice(0, 10), frames.at(-2) as Buffer];
    for (const publisher of publishers) {
      publisher.login({ capabilities: ['connection.blocked'] });
      publisher.send(method(1, 'channel.open'), ...start);
    }
    await until(() => broker.heldBytes > MARK);
    for (const publisher of publishers) publisher.send(more);
    await until(() => publishers.every((each) => each.methods().some(({ name }) => name === 'connection.blocked')));
    expect(broker.heldBytes).toBeLessThan(MARK + 20 * 131_072);
    for (const publisher of publishers) publisher.destroy();
  });

  test('a client that never published is not stopped, nor told', async () => {
    broker.setMemoryAlarm(true);
    const { connection, channel } = await open();
    let told = false;
    connection.once('blocked', () => {
      told = true;
    });
    await channel.assertQueue('');
    expect(told).toBe(false);
  });

  test('a blocked client that falls silent outlives its heartbeat, and is watched again afterwards', async () => {
    const bare = await bareClient(broker.port);
    bare.login({ heartbeat: 1, capabilities: ['connection.blocked'] });
    broker.setMemoryAlarm(true);
    bare.send(method(1, 'channel.open'), ...publish('', Buffer.from('x')));
    await bare.received('connection.blocked');
    const beats = () => bare.frames.filter(({ type }) => type === 8).length;
    // Two a second: more than three seconds, after which it would be gone.
    await until(() => beats() >= 8);
    expect(bare.open()).toBe(true);
    broker.setMemoryAlarm(false);
    await bare.received('connection.unblocked');
    // By a reset, or by a FIN where a heartbeat was just on its way.
    await bare.ended;
  });

  test('a client without the capability is stopped and not told', async () => {
    const bare = await bareClient(broker.port);
    bare.login();
    await bare.received('connection.open-ok');
    broker.setMemoryAlarm(true);
    bare.send(method(1, 'channel.open'), ...publish('', Buffer.from('x')), method(1, 'confirm.select'));
    await bare.received('channel.open-ok');
    await (await open()).channel.checkExchange('amq.direct');
    broker.setMemoryAlarm(false);
    await bare.received('confirm.select-ok');
    expect(bare.methods().map(({ name }) => name)).not.toContain('connection.unblocked');
    bare.destroy();
  });

  test('a blocked client is told to go, and is heard saying goodbye', async () => {
    const bare = await bareClient(broker.port);
    bare.login({ capabilities: ['connection.blocked'] });
    broker.setMemoryAlarm(true);
    bare.send(method(1, 'channel.open'), ...publish('', Buffer.from('x')));
    await bare.received('connection.blocked');
    broker.closeAllConnections('enough');
    expect(await bare.closeReason()).toMatchObject({ replyText: 'CONNECTION_FORCED - enough' });
    await bare.ended;
  });
});

describe('clients that do not read', () => {
  test('direct replies to one are dropped above a limit, and it goes on once it reads', async () => {
    const asking = await bareClient(broker.port);
    asking.login();
    const replyTo = 'amq.rabbitmq.reply-to';
    const consume = { ticket: 0, queue: replyTo, consumerTag: 't', noLocal: false, noAck: true };
    asking.send(
      method(1, 'channel.open'),
      method(1, 'basic.consume', { ...consume, exclusive: false, nowait: false, arguments: new Map() }),
    );
    await asking.received('basic.consume-ok');
    const { channel } = await open();
    const { queue } = await channel.assertQueue('');
    asking.send(...publish('', Buffer.from('question'), queue, replyTo));
    await until(() => broker.heldBytes > 0);
    const question = await channel.get(queue, { noAck: true });
    if (!question) throw new Error('no question');
    asking.pause();
    const before = usedByBuffers();
    const answer = Buffer.alloc(MIB);
    const count = 100;
    for (let n = 0; n < count; n += 1) {
      channel.sendToQueue(question.properties.replyTo, answer);
      await channel.waitForConfirms();
    }
    expect(usedByBuffers() - before).toBeLessThan(64 * MIB);
    asking.resume();
    asking.send(method(1, 'confirm.select'));
    await asking.received('confirm.select-ok');
    const replies = asking.methods().filter(({ name }) => name === 'basic.deliver').length;
    expect([replies > 0, replies < count]).toEqual([true, true]);
    asking.destroy();
  });
});

/** Its frames; the last one is the end of the body. */
function publish(exchange: string, body: Buffer, routingKey = 'nowhere', replyTo?: string): Buffer[] {
  const properties = encodeProperties(replyTo === undefined ? {} : { replyTo });
  const frames = [method(1, 'basic.publish', { exchange, routingKey }), header(1, body.length, properties)];
  const step = 131_000;
  for (let at = 0; at < body.length; at += step) frames.push(bodyFrame(1, body.subarray(at, at + step)));
  return frames;
}
