import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { buildFunctions } from '../../infra/build';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { deadLetterQueue } from '../../infra/topology';
import { encodeCorrelation } from '../../lib/correlation';
import { newMessageId } from '../../lib/message-id';
import { openChannel, queueNames } from '../helpers/amqp';
import { isEmf, metricsOf } from '../helpers/emf';
import { type FunctionProcess, functionProcess, type LogLine } from '../helpers/function-process';
import { type Answer, type ManagementApi, startManagementApi } from '../helpers/management-api';
import { root } from '../helpers/stack';
import { startTableApi, type TableApi } from '../helpers/table-api';

/** What the bundled functions, each in a process of its own, write for CloudWatch, against what happened to them. */
describe('the metrics that are written by', () => {
  const { apiQueue, wsQueue, env } = queueNames();
  let broker: Broker;
  let table: TableApi;
  let api: ManagementApi;
  let answer: Answer = () => 200;
  let running: FunctionProcess;

  beforeAll(async () => {
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
    await buildFunctions(root);
    broker = await startBroker({ port: 0 });
    table = await startTableApi();
    api = await startManagementApi((...post) => answer(...post));
    await declare(apiQueue, deadLetterQueue(wsQueue));
  }, 60_000);
  afterEach(async () => {
    await running.kill();
    answer = () => 200;
  });
  afterAll(async () => {
    await api.close();
    await table.close();
    await broker.close();
  });

  const declare = async (...queues: string[]) => {
    const { channel, close } = await openChannel(broker.url);
    for (const queue of queues) await channel.assertQueue(queue, { durable: true });
    await close();
  };
  const start = (name: string, more: Record<string, string> = {}) => {
    running = functionProcess(name, {
      env: {
        ...env,
        AMQP_URL: broker.url,
        TABLE_NAME: table.tableName,
        SESSION_TABLE_NAME: table.sessionTableName,
        AWS_ENDPOINT_URL_DYNAMODB: table.url,
        MANAGEMENT_ENDPOINT: api.url,
        METRICS_NAMESPACE: 'ws-gateway-test',
        ...more,
      },
      timeoutMs: 20_000,
    });
    return running;
  };
  /** Only when the process has ended is all read that it wrote. */
  const lines = async (): Promise<LogLine[]> => {
    await running.terminate();
    return [...running.log];
  };
  const emfLines = async () => (await lines()).filter(isEmf);

  test('connect and disconnect: a WebSocket that was let in, and its end', async () => {
    const event = (eventType: string) => ({
      requestContext: { connectionId: 'c', eventType, connectedAt: Date.now() },
    });
    const connect = start('connect');
    await connect.invoke(event('CONNECT'));
    await connect.invoke(event('MESSAGE'));
    expect((await emfLines()).map((line) => metricsOf([line]))).toEqual([{ ConnectionsOpened: [1] }]);

    const disconnect = start('disconnect');
    await disconnect.invoke(event('DISCONNECT'));
    await disconnect.invoke(event('DISCONNECT'));
    const closed = { ConnectionsClosed: [1] };
    expect((await emfLines()).map((line) => metricsOf([line]))).toEqual([closed, closed]);
  });

  test('connect: nothing, where the client is not let in', async () => {
    table.answer('fail');
    const connect = start('connect');
    const event = { requestContext: { connectionId: 'c', eventType: 'CONNECT', connectedAt: Date.now() } };
    expect(await connect.invoke(event)).toMatchObject({ statusCode: 503 });
    table.answer('work');
    expect(await emfLines()).toEqual([]);
  });

  const frame = (body: Record<string, unknown>) => ({
    requestContext: { connectionId: 'c', eventType: 'MESSAGE', connectedAt: Date.now() },
    body: JSON.stringify(body),
  });
  const message = { action: 'send', data: { prompt: 'secret' } };

  test('send: each message, acknowledged, refused or failed, in one line', async () => {
    const send = start('send');
    await send.invoke(frame(message));
    await send.invoke(frame({ action: 'send', data: 'no object' }));
    await send.invoke(frame({ action: 'send', id: '', data: {} }));
    const { channel, close } = await openChannel(broker.url);
    await channel.deleteQueue(apiQueue);
    await close();
    await send.invoke(frame(message));
    await declare(apiQueue);
    await send.invoke(frame(message));
    const all = await lines();
    const acknowledged = { Sends: [1], ConfirmLatency: [expect.any(Number)] };
    expect(all.filter(isEmf).map((line) => metricsOf([line]))).toEqual([
      acknowledged,
      { SendsRefused: [1] },
      { SendsRefused: [1] },
      { SendsFailed: [1] },
      acknowledged,
    ]);
    expect(JSON.stringify(all)).not.toContain('secret');
  });

  test('send: where the process ends, not before each line is out', async () => {
    const send = start('send');
    await send.invoke(frame(message));
    await send.kill();
    expect(metricsOf(send.log.filter(isEmf))).toMatchObject({ Sends: [1] });
  });

  test('nobody, where no namespace is set', async () => {
    const send = start('send', { METRICS_NAMESPACE: '' });
    await send.invoke(frame(message));
    await send.invoke(frame({ ...message, data: 5 }));
    expect((await lines()).map(({ message }) => message)).toEqual(['Refused a message']);
  });

  const sentMs = 1000;
  const reply = (connectionId: string, more: Record<string, unknown> = {}, body = '{"text":"secret"}') => {
    const messageId = newMessageId(Date.now() - sentMs);
    const correlationId = encodeCorrelation({ messageId, connectionId, clientId: null });
    return {
      basicProperties: { correlationId, ...more },
      redelivered: false,
      data: Buffer.from(body).toString('base64'),
    };
  };
  const batch = (...replies: unknown[]) => ({
    eventSource: 'aws:rmq',
    rmqMessagesByQueue: { [`${wsQueue}::/`]: replies },
  });

  test('consumer: each reply of a batch, in one line', async () => {
    answer = (connectionId, attempt) => {
      const answers: Record<string, number> = { left: 410, large: 413, forbidden: 403 };
      return answers[connectionId] ?? (connectionId === 'busy' && attempt < 2 ? 429 : 200);
    };
    const consumer = start('consumer');
    const copy = reply('a', { messageId: 'r-1' });
    await consumer.invoke(
      batch(
        copy,
        copy,
        reply('busy'),
        reply('left'),
        reply('large'),
        reply('forbidden'),
        { ...reply('a'), basicProperties: {} },
        { ...reply('a', { contentType: 'application/json' }), data: '' },
      ),
    );
    const all = await lines();
    const [line, ...others] = all.filter(isEmf);
    expect(others).toEqual([]);
    const { EndToEnd, ...counts } = metricsOf([line]);
    expect(counts).toEqual({
      RepliesDelivered: [2],
      RepliesGone: [1],
      RepliesTooLarge: [1],
      RepliesForbidden: [1],
      RepliesMalformed: [2],
      DeadLetters: [4],
      Duplicates: [1],
      Retries: [2],
    });
    expect(EndToEnd).toHaveLength(2);
    for (const ms of EndToEnd ?? []) expect(ms).toBeGreaterThanOrEqual(sentMs);
    expect(JSON.stringify(all)).not.toContain('secret');
  });

  test('consumer: the time of each of more replies than a line may have', async () => {
    const consumer = start('consumer');
    await consumer.invoke(batch(...Array.from({ length: 250 }, (_, n) => reply(`c${n % 50}`))));
    const written = await emfLines();
    expect(written).toHaveLength(3);
    const { RepliesDelivered, EndToEnd } = metricsOf(written);
    expect(RepliesDelivered).toEqual([250]);
    expect(EndToEnd).toHaveLength(250);
  });

  test('consumer: what was done, where the batch comes back', async () => {
    const consumer = start('consumer');
    const { channel, close } = await openChannel(broker.url);
    await channel.deleteQueue(deadLetterQueue(wsQueue));
    await close();
    const replies = batch(reply('a', { messageId: 'r-1' }), { ...reply('a'), basicProperties: {} });
    await expect(consumer.invoke(replies)).rejects.toThrow('Could not lay down 1 dead letters');
    await declare(deadLetterQueue(wsQueue));
    await consumer.invoke(replies);
    expect((await emfLines()).map((line) => metricsOf([line]))).toEqual([
      { RepliesDelivered: [1], EndToEnd: [expect.any(Number)] },
      { Duplicates: [1], RepliesMalformed: [1], DeadLetters: [1] },
    ]);
  });
});
