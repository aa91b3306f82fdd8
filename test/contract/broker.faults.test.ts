import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { type Broker, startBroker } from '../../infra/local/broker/broker';

/** The faults that a test can make the embedded broker show, as a client library meets them. */

let broker: Broker;
const clients: ChannelModel[] = [];

beforeEach(async () => {
  broker = await startBroker({ port: 0 });
});

afterEach(async () => {
  await broker.close();
  for (const each of clients.splice(0)) socketOf(each).destroy();
});

async function client(name?: string): Promise<ChannelModel> {
  const clientProperties = name === undefined ? {} : { connection_name: name };
  const connection = await connect(broker.url, { noDelay: true, clientProperties });
  connection.on('error', () => undefined);
  clients.push(connection);
  return connection;
}

async function channelOf(connection: ChannelModel): Promise<ConfirmChannel> {
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  return channel;
}

function named(name: string) {
  const connection = broker.connections.find((each) => each.name === name);
  if (connection === undefined) throw new Error(`no connection ${name}`);
  return connection;
}

/** What amqplib does not show of a connection. */
const socketOf = ({ connection }: ChannelModel) => (connection as unknown as { stream: Socket }).stream;

const once = <T>(emitter: { once(event: string, listener: (value: T) => void): unknown }, event: string) =>
  new Promise<T>((resolve) => emitter.once(event, resolve));

describe('connections', () => {
  test('are listed by their own name, else by where they come from, while they are open', async () => {
    const [first] = [await client('first'), await client()];
    const names = broker.connections.map(({ name }) => name);
    expect(names).toEqual(['first', expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
    await first.close();
    expect(broker.connections).toHaveLength(1);
  });
});

describe('close', () => {
  test('tells this client alone why it has to go', async () => {
    const [victim, other] = [await client('victim'), await client()];
    const closed = once<Error>(victim, 'close');
    named('victim').close('maintenance');
    expect((await closed).message).toContain('320 (CONNECTION-FORCED) with message "CONNECTION_FORCED - maintenance"');
    await other.createChannel();
  });
});

describe('drop', () => {
  test('gives back what the client held, and the client hears nothing until the broker closes', async () => {
    const cut = await client('lost');
    const [lost, other] = [await channelOf(cut), await channelOf(await client())];
    await other.assertQueue('work');
    await lost.assertQueue('own', { exclusive: true });
    other.sendToQueue('work', Buffer.from('unsettled'));
    await other.waitForConfirms();
    expect(await lost.get('work')).toMatchObject({ fields: { redelivered: false } });

    const stream = socketOf(cut);
    const heard: string[] = [];
    for (const event of ['data', 'end', 'error', 'close']) stream.on(event, () => heard.push(event));
    named('lost').drop();

    expect(await other.get('work')).toMatchObject({ fields: { redelivered: true } });
    expect(broker.connections.map(({ name }) => name)).not.toContain('lost');
    // What it says is not heard either.
    lost.sendToQueue('work', Buffer.from('into the void'));
    expect(await other.checkQueue('work')).toMatchObject({ messageCount: 0 });
    const gone = once<Error>(other, 'error');
    await expect(other.checkQueue('own')).rejects.toMatchObject({ code: 404 });
    await gone;
    expect(heard).toEqual([]);

    const freed = once(stream, 'close');
    await broker.close();
    await freed;
  });
});

describe('pauseReads', () => {
  test('leaves the client without answers until resumeReads, while it is still sent to', async () => {
    const [stuck, other] = [await channelOf(await client('stuck')), await channelOf(await client())];
    const { queue } = await stuck.assertQueue('');
    let arrived: (body: string) => void = () => undefined;
    const arrival = new Promise<string>((resolve) => {
      arrived = resolve;
    });
    await stuck.consume(queue, (message) => arrived(String(message?.content)), { noAck: true });

    named('stuck').pauseReads();
    let answered = false;
    const answer = stuck.checkQueue(queue).then(() => {
      answered = true;
    });
    other.sendToQueue(queue, Buffer.from('still here'));
    await other.waitForConfirms();
    expect(await arrival).toBe('still here');
    expect(answered).toBe(false);

    named('stuck').resumeReads();
    await answer;
  });
});

describe('setMemoryAlarm', () => {
  test('blocks a client once it publishes, and unblocks it', async () => {
    const connection = await client();
    const channel = await channelOf(connection);
    const { queue } = await channel.assertQueue('');
    broker.setMemoryAlarm(true);
    const blocked = once<string>(connection, 'blocked');
    let confirmed = false;
    channel.sendToQueue(queue, Buffer.from('later'), {}, () => {
      confirmed = true;
    });
    expect(await blocked).toBe('low on memory');
    expect(confirmed).toBe(false);

    const unblocked = once(connection, 'unblocked');
    broker.setMemoryAlarm(false);
    await unblocked;
    await channel.waitForConfirms();
    expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 1 });
  });
});
