import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import type { Context } from 'aws-lambda';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { type Connections, leaseFrom } from '../../lib/connections';
import { dynamoConnections } from '../../lib/connections.dynamo';
import { GatewayError } from '../../lib/errors';
import { newMessageId } from '../../lib/message-id';
import type { RouteHandler } from '../../lib/route';
import { rememberedMemberships } from '../../lib/session/membership';
import { createSessionSender } from '../../lib/session/sending';
import type { Sends } from '../../lib/session/sends';
import { dynamoSends } from '../../lib/session/sends.dynamo';
import { traceparentOf } from '../../lib/traceparent';
import { openChannel, queueNames, reader, type TestChannel } from '../helpers/amqp';
import { silentLog } from '../helpers/silent-log';
import { startTableApi, type TableApi } from '../helpers/table-api';

/** The function `send`, as it is, in a session and outside, on local tables and the embedded broker. */

// biome-ignore lint/suspicious/noExplicitAny: frames are what the test says they are
type Frame = Record<string, any>;

const env = { ...process.env };
const { apiQueue, wsQueue } = queueNames();
const endsAt = Date.now() + 86_400_000;

let tables: TableApi;
let broker: Broker;
let service: TestChannel;
let next: () => Promise<ConsumeMessage>;
let handler: RouteHandler;
let connections: Connections;
let sends: Sends;

beforeAll(async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  [tables, broker] = await Promise.all([startTableApi(), startBroker({ port: 0 })]);
  service = await openChannel(broker.url);
  await service.channel.assertQueue(apiQueue);
  next = await reader(service.channel, apiQueue);
  Object.assign(process.env, {
    AMQP_URL: broker.url,
    API_QUEUE: apiQueue,
    WS_QUEUE: wsQueue,
    TABLE_NAME: tables.tableName,
    SESSION_TABLE_NAME: tables.sessionTableName,
    AWS_ENDPOINT_URL_DYNAMODB: tables.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    LOG_LEVEL: 'ERROR',
    IS_OFFLINE: 'true',
  });
  // Only now: a function reads its configuration while it is loaded.
  handler = jest.requireActual<{ handler: RouteHandler }>('../../functions/send').handler;
  connections = dynamoConnections(tables.tableName);
  sends = dynamoSends(tables.sessionTableName);
});

beforeEach(() => tables.answer('work'));

afterAll(async () => {
  process.env = env;
  await service?.close();
  await broker?.close();
  await tables?.close();
});

async function send(connectionId: string, frame: Frame = {}, remainingMs = 10_000): Promise<Frame> {
  const deadline = Date.now() + remainingMs;
  const context = { getRemainingTimeInMillis: () => deadline - Date.now() } as Context;
  const requestContext = { connectionId, eventType: 'MESSAGE' as const, connectedAt: Date.now() };
  const body = JSON.stringify({ action: 'send', data: {}, ...frame });
  const response = await handler({ requestContext, body }, context);
  return JSON.parse(response.body ?? '');
}

async function connect(): Promise<string> {
  const connectionId = randomUUID();
  await connections.open(leaseFrom(connectionId, Date.now()));
  return connectionId;
}

/** Of which the function does not know yet. */
async function joined(): Promise<{ connectionId: string; session: string }> {
  const connectionId = await connect();
  const session = `session_${randomUUID().replaceAll('-', '').slice(0, 22)}`;
  await connections.join(connectionId, session, endsAt);
  return { connectionId, session };
}

/** Of which the function knows, however slow the table is. */
async function connectInSession(): Promise<{ connectionId: string; session: string }> {
  const inSession = await joined();
  await send(inSession.connectionId, { session: inSession.session });
  expect(await published()).toHaveLength(1);
  return inSession;
}

/** What is asked of the tables while it works. */
async function asked(work: () => Promise<unknown>): Promise<string[]> {
  const before = tables.requests.length;
  await work();
  return tables.requests.slice(before).map(({ operation, table }) => `${operation} ${table}`);
}

/** The ids of all that the service was sent since. */
async function published(): Promise<string[]> {
  const last = newMessageId();
  service.channel.sendToQueue(apiQueue, Buffer.of(), { messageId: last });
  const ids: string[] = [];
  for (;;) {
    const { messageId } = (await next()).properties;
    if (messageId === last) return ids;
    ids.push(messageId);
  }
}

const metadataOf = (message: ConsumeMessage) => JSON.parse(String(message.content)).data.metadata;

describe('a message of a connection without a session', () => {
  test('is sent for the connection, and asks the table once in a while', async () => {
    const connectionId = await connect();
    const requests = await asked(async () => {
      for (const id of ['1', '2', '2']) expect(await send(connectionId, { id })).toMatchObject({ event: 'ack', id });
    });
    // A look, and a lease once there is another message soon after.
    expect(requests).toEqual(['GetItem ConnectionTable', 'UpdateItem ConnectionTable']);
    for (const client_id of ['1', '2', '2']) {
      expect(metadataOf(await next())).toMatchObject({ socket_id: connectionId, client_id });
    }
  });

  test('is sent for a connection that has no row, too', async () => {
    const connectionId = randomUUID();
    expect(await send(connectionId, { id: '1' })).toEqual({
      event: 'ack',
      id: '1',
      messageId: expect.any(String),
    });
    expect(metadataOf(await next())).toMatchObject({ socket_id: connectionId });
  });

  test.each(['hang', 'fail', 'throttle', 'reset'] as const)('needs no table that answers: %s', async (fault) => {
    tables.answer(fault);
    const connectionId = randomUUID();
    const startedAt = Date.now();
    for (const id of ['1', '2', '3', '4']) expect(await send(connectionId, { id })).toMatchObject({ event: 'ack' });
    // A table that hangs is given up after five seconds.
    expect(Date.now() - startedAt).toBeLessThan(4500);
    expect(await published()).toHaveLength(4);
  });

  test('is refused before the table is asked, if it is no message', async () => {
    const { connectionId, session } = await joined();
    const requests = await asked(async () => {
      for (const frame of [{ data: 'hm' }, { data: 'hm', session }, { session: 'hm' }, { session: 5 }]) {
        expect(await send(connectionId, { id: '1', ...frame })).toMatchObject({ id: '1', code: 'invalid_message' });
      }
    });
    expect(requests).toEqual([]);
  });
});

describe('a message in a session', () => {
  test('is sent for the session, whether or not the client names it', async () => {
    const { connectionId, session } = await joined();
    for (const frame of [{ id: '1', session }, { id: '2' }, { session }, {}] as Frame[]) {
      const ack = await send(connectionId, frame);
      expect(ack).toEqual({
        event: 'ack',
        ...('id' in frame ? { id: frame.id } : {}),
        messageId: expect.any(String),
      });
      const message = await next();
      expect(metadataOf(message)).toMatchObject({ socket_id: session, message_id: ack.messageId });
      expect(message.properties).toMatchObject({
        messageId: ack.messageId,
        correlationId: `gw1:${ack.messageId}:${session}:${frame.id ?? ''}`,
        replyTo: wsQueue,
      });
    }
  });

  test('costs two writes, and what is needed once to find the session of its connection', async () => {
    const { connectionId, session } = await joined();
    const writes = ['PutItem SessionTable', 'UpdateItem SessionTable'];
    const first = await asked(() => send(connectionId, { id: '1', session }));
    expect(first).toEqual(['GetItem ConnectionTable', ...writes]);
    expect(await asked(() => send(connectionId, { id: '2' }))).toEqual(writes);
    expect(await asked(() => send(connectionId, { session }))).toEqual([]);
    expect(await published()).toHaveLength(3);
  });

  test('is in the queue once, however often it is sent', async () => {
    const { connectionId, session } = await connectInSession();
    const first = await send(connectionId, { id: '1', session });
    expect(first).not.toHaveProperty('duplicate');
    for (let time = 0; time < 3; time += 1) {
      expect(await send(connectionId, { id: '1', session })).toEqual({ ...first, duplicate: true });
    }
    expect(await published()).toEqual([first.messageId]);
  });

  test('is in the queue once, though it is sent by all at once and from two connections', async () => {
    const { connectionId, session } = await connectInSession();
    const other = await connect();
    await connections.join(other, session, endsAt);
    const both = [connectionId, other, connectionId, other];
    const acks = await Promise.all(both.map((each) => send(each, { id: '1', session })));
    const [messageId] = await published();
    expect(acks.map((ack) => ack.messageId)).toEqual([messageId, messageId, messageId, messageId]);
    expect(acks.filter(({ duplicate }) => duplicate)).toHaveLength(3);
    expect(await published()).toEqual([]);
  });

  test('with an id that another session has used is another one', async () => {
    for (const { connectionId, session } of [await joined(), await joined()]) {
      expect(await send(connectionId, { id: '1', session })).not.toHaveProperty('duplicate');
    }
    expect(new Set(await published()).size).toBe(2);
  });

  test('without an id is a new one each time', async () => {
    const { connectionId, session } = await connectInSession();
    for (let time = 0; time < 2; time += 1) {
      expect(await send(connectionId, { session })).toEqual({ event: 'ack', messageId: expect.any(String) });
    }
    expect(new Set(await published()).size).toBe(2);
  });

  test('whose first sender has died is sent once more when its time is over, as the same message', async () => {
    const { connectionId, session } = await connectInSession();
    const messageId = newMessageId();
    const busyUntil = Date.now() + 1500;
    await sends.begin({ session, clientId: '1', messageId }, busyUntil, endsAt);
    const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const ack = { event: 'ack', id: '1', messageId, duplicate: true };
    expect(await send(connectionId, { id: '1', traceparent: parent })).toEqual(ack);
    expect(Date.now()).toBeGreaterThanOrEqual(busyUntil);
    const message = await next();
    expect(message.properties).toMatchObject({
      messageId,
      correlationId: `gw1:${messageId}:${session}:1`,
      headers: { traceparent: traceparentOf(messageId, parent) },
    });
    expect(metadataOf(message)).toMatchObject({ socket_id: session, message_id: messageId });
    expect(await send(connectionId, { id: '1' })).toEqual(ack);
    expect(await published()).toEqual([]);
  });

  test('whose first sender does not end in time is refused, and may be sent again', async () => {
    const { connectionId, session } = await connectInSession();
    await sends.begin({ session, clientId: '1', messageId: newMessageId() }, Date.now() + 60_000, endsAt);
    expect(await send(connectionId, { id: '1' }, 1200)).toMatchObject({ code: 'unavailable', retryable: true });
    expect(await published()).toEqual([]);
  });

  test('is acknowledged, though it cannot be noted that it was sent', async () => {
    const { connectionId } = await connectInSession();
    tables.answer(({ operation }) => (operation === 'UpdateItem' ? 'fail' : 'work'));
    const first = await send(connectionId, { id: '1' }, 2000);
    expect(first).toMatchObject({ event: 'ack' });
    tables.answer('work');
    expect(await send(connectionId, { id: '1' })).toEqual({ ...first, duplicate: true });
    expect(await published()).toEqual([first.messageId, first.messageId]);
  });

  test.each(['hang', 'fail', 'throttle', 'reset'] as const)('is refused without the table: %s', async (fault) => {
    const { connectionId, session } = await joined();
    const { connectionId: known, session: knownSession } = await connectInSession();
    tables.answer(fault);
    const refused = { event: 'error', id: '1', code: 'unavailable', retryable: true };
    const answers = [
      send(connectionId, { id: '1', session }),
      send(known, { id: '1', session: knownSession }, 2000),
      send(known, { id: '1' }, 2000),
    ];
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject(refused);
    tables.answer('work');
    expect(await send(connectionId, { id: '1', session })).toMatchObject({ event: 'ack' });
    expect(await published()).toHaveLength(1);
  });

  test('survives answers of the table that are lost', async () => {
    const { connectionId } = await connectInSession();
    const lost = new Set<string>();
    tables.answer(({ operation }) => {
      if (lost.has(operation)) return 'work';
      lost.add(operation);
      return 'lose';
    });
    const first = await send(connectionId, { id: '1' });
    expect(first).toEqual({ event: 'ack', id: '1', messageId: expect.any(String) });
    expect([...lost]).toEqual(['PutItem', 'GetItem', 'UpdateItem']);
    expect(await send(connectionId, { id: '1' })).toEqual({ ...first, duplicate: true });
    expect(await published()).toEqual([first.messageId]);
  });

  test('is refused where it names a session that is not its connection’s', async () => {
    const { connectionId } = await connectInSession();
    const { session } = await connectInSession();
    const plain = await connect();
    for (const each of [connectionId, plain]) {
      const answer = await send(each, { id: '1', session });
      expect(answer).toMatchObject({ event: 'error', id: '1', code: 'invalid_message' });
      expect(answer.message).toMatch(/^session /);
    }
    expect(await published()).toEqual([]);
  });

  test('is found in it at once, though its connection was taken for plain a moment ago', async () => {
    const connectionId = await connect();
    await send(connectionId);
    await send(connectionId);
    const session = `session_${'x'.repeat(22)}`;
    await connections.join(connectionId, session, endsAt);
    await send(connectionId, { id: '1', session });
    await send(connectionId, { id: '2' });
    const messages = [await next(), await next(), await next(), await next()];
    const addressed = messages.map((message) => metadataOf(message).socket_id);
    expect(addressed).toEqual([connectionId, connectionId, session, session]);
  });

  test('that no queue takes is forgotten: its id is free', async () => {
    const { connectionId, session } = await connectInSession();
    await service.channel.deleteQueue(apiQueue);
    expect(await send(connectionId, { id: '1', session })).toMatchObject({ code: 'unroutable' });
    await service.channel.assertQueue(apiQueue);
    next = await reader(service.channel, apiQueue);
    const ack = await send(connectionId, { id: '1', session });
    expect(ack).toEqual({ event: 'ack', id: '1', messageId: expect.any(String) });
    expect(await published()).toEqual([ack.messageId]);
  });
});

describe('what becomes of a message whose sending fails', () => {
  /** A sender on the real tables whose attempts end as the test says. */
  function senderOf(...failures: (GatewayError | undefined)[]) {
    const attempts: { messageId: string; connectionId: string }[] = [];
    const sender = createSessionSender(
      {
        prepare() {},
        async send({ messageId, connectionId }) {
          attempts.push({ messageId, connectionId });
          const failure = failures[attempts.length - 1];
          if (failure !== undefined) throw failure;
        },
      },
      { memberships: rememberedMemberships(connections.membership), sends, log: silentLog },
    );
    const trySend = ({ connectionId, session }: { connectionId: string; session: string }) =>
      sender.send(
        { messageId: newMessageId(), parent: undefined, connectionId, session, clientId: '1', data: {} },
        Date.now() + 5000,
      );
    return { attempts, trySend };
  }

  test('is unknown after `unavailable`: the next attempt need not wait, and sends the same message', async () => {
    const inSession = await joined();
    const failure = new GatewayError('unavailable', 'later');
    const { attempts, trySend } = senderOf(failure, new GatewayError('unroutable', 'no queue'), undefined);
    await expect(trySend(inSession)).rejects.toBe(failure);
    const startedAt = Date.now();
    // What the second learns of itself says nothing of the first.
    await expect(trySend(inSession)).rejects.toThrow('no queue');
    const { messageId, duplicate } = await trySend(inSession);
    expect(Date.now() - startedAt).toBeLessThan(4000);
    expect(duplicate).toBe(true);
    expect(attempts).toEqual([1, 2, 3].map(() => ({ messageId, connectionId: inSession.session })));
    expect(await trySend(inSession)).toEqual({ messageId, duplicate: true });
  });

  test.each(['unroutable', 'invalid_message', 'too_large'] as const)('is known after `%s`', async (code) => {
    const inSession = await joined();
    const { attempts, trySend } = senderOf(new GatewayError(code, 'no'), undefined);
    await expect(trySend(inSession)).rejects.toThrow('no');
    const { messageId, duplicate } = await trySend(inSession);
    expect(duplicate).toBe(false);
    expect(attempts.map((attempt) => attempt.messageId)).toEqual([expect.any(String), messageId]);
    expect(attempts[0]?.messageId).not.toBe(messageId);
  });

  test('is not what a late word of an earlier attempt says', async () => {
    const session = `session_${randomUUID().slice(0, 22)}`;
    const [late, later, last] = [1, 2, 3].map(() => ({ session, clientId: '1', messageId: newMessageId() }));
    if (late === undefined || later === undefined || last === undefined) throw new Error();
    await sends.begin(late, Date.now() + 1500, endsAt);
    const begun = await sends.begin(later, Date.now() + 10_000, endsAt);
    expect(begun).toEqual({ result: 'unknown', messageId: late.messageId });
    await sends.forget(late);
    await sends.release(late);
    await sends.acked(late);
    await expect(sends.begin(last, Date.now() + 300, endsAt)).rejects.toThrow();
    await sends.acked(later);
    const known = await sends.begin(last, Date.now() + 5000, endsAt);
    expect(known).toEqual({ result: 'acked', messageId: late.messageId });
  });
});
