import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { type MqEvent, mqEvent, mqRecord } from '../../infra/local/event-source/event';
import { leaseFrom } from '../../lib/connections';
import { dynamoConnections } from '../../lib/connections.dynamo';
import { openChannel, queueNames, type TestChannel } from '../helpers/amqp';
import { type AnswerBucket, startAnswerBucket } from '../helpers/answer-bucket';
import { type FunctionOptions, type FunctionProcess, functionProcess } from '../helpers/function-process';
import { type Issuer, startIssuer } from '../helpers/issuer';
import { type LambdaFunction, lambdaFunction, runtimeClient } from '../helpers/lambda-runtime';
import { type ManagementApi, startManagementApi } from '../helpers/management-api';
import { type SecretsApi, startSecretsApi } from '../helpers/secrets-api';
import { root } from '../helpers/stack';
import { startTableApi, type TableApi } from '../helpers/table-api';
import { unzip } from '../helpers/zip';

/**
 * The zips that are deployed. Each is unpacked to a folder of its own, where it finds nothing beside it, and its function
 * started with the variables and the time that the template gives it: under AWS's own runtime client where
 * TEST_LAMBDA_RIC names one, else under plain Node.
 */

interface FunctionResource {
  Properties: {
    /** Seconds. */
    Timeout: number;
    Environment: { Variables: Record<string, unknown> };
  };
}

const run = promisify(execFile);
const { apiQueue, wsQueue } = queueNames();
const connectionId = 'L0SM9cOFvHcCIhw=';
const connectedAt = Date.now();

let folder: string;
let zips: Map<string, Map<string, Buffer>>;
let resources: Record<string, FunctionResource>;

let broker: Broker;
let client: TestChannel;
let table: TableApi;
let secrets: SecretsApi;
let issuer: Issuer;
let api: ManagementApi;
let bucket: AnswerBucket;
let started: LambdaFunction | FunctionProcess | undefined;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ws-gateway-bundles-'));
  const parameters = {
    auth: 'jwt',
    jwtIssuer: 'https://issuer.example/',
    jwtAudience: 'gateway',
    jwksUrl: 'https://issuer.example/jwks.json',
    exampleWorker: 'true',
  };
  const serverless = join(root, 'node_modules/serverless/bin/serverless.js');
  const options = Object.entries(parameters).map(([name, value]) => `--param=${name}=${value}`);
  const { PATH } = process.env;
  await run(process.execPath, [serverless, 'package', '--package', folder, ...options], {
    cwd: root,
    env: { PATH, HOME: join(folder, 'home') },
  });
  resources = JSON.parse(await readFile(join(folder, 'cloudformation-template-update-stack.json'), 'utf8')).Resources;
  zips = new Map();
  for (const file of await readdir(folder)) {
    const [, name] = /^(.*)\.zip$/.exec(file) ?? [];
    if (name !== undefined) zips.set(name, unzip(await readFile(join(folder, file))));
  }
}, 120_000);

beforeAll(async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  broker = await startBroker({ port: 0 });
  client = await openChannel(broker.url);
  for (const queue of [apiQueue, wsQueue, `${wsQueue}.dead`]) await client.channel.assertQueue(queue);
  [table, secrets, issuer, api, bucket] = await Promise.all([
    startTableApi(),
    startSecretsApi(JSON.stringify({ username: 'guest', password: 'guest' })),
    startIssuer(),
    startManagementApi(),
    startAnswerBucket(),
  ]);
});

afterEach(async () => {
  await started?.kill();
  started = undefined;
});

afterAll(async () => {
  await client?.close();
  for (const each of [broker, table, secrets, issuer, api, bucket]) await each?.close();
  await rm(folder, { recursive: true });
});

/** As the template has it; what only AWS knows is replaced by what stands in for it here. */
function optionsOf(name: string): Required<FunctionOptions> {
  const { host } = new URL(broker.url);
  const local: Record<string, string> = {
    AMQP_URL: `amqp://${host}`,
    AMQP_SECRET_ARN: secrets.secretArn,
    API_QUEUE: apiQueue,
    WS_QUEUE: wsQueue,
    TABLE_NAME: table.tableName,
    SESSION_TABLE_NAME: table.sessionTableName,
    MANAGEMENT_ENDPOINT: api.url,
    JWT_JWKS_URL: issuer.jwksUrl,
  };
  const logicalId = `${name.charAt(0).toUpperCase()}${name.slice(1)}LambdaFunction`;
  const { Properties } = resources[logicalId] as FunctionResource;
  const variables = Object.entries(Properties.Environment.Variables);
  return {
    env: {
      ...Object.fromEntries(variables.map(([variable, value]) => [variable, local[variable] ?? String(value)])),
      AWS_ENDPOINT_URL_DYNAMODB: table.url,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: secrets.url,
    },
    timeoutMs: Properties.Timeout * 1000,
    taskRoot: join(folder, name),
  };
}

async function invoke(name: string, event: unknown): Promise<unknown> {
  const options = optionsOf(name);
  for (const [file, content] of zips.get(name) ?? []) {
    await mkdir(join(options.taskRoot, file, '..'), { recursive: true });
    await writeFile(join(options.taskRoot, file), content);
  }
  started = (runtimeClient ? lambdaFunction : functionProcess)(name, options);
  const result = await started.invoke(event);
  // What it wrote has been read then.
  await started.kill();
  return result;
}

const authorizer = { userId: 'alice', tokenExpiresAt: String(Math.floor(Date.now() / 1000) + 300) };

function webSocketEvent(eventType: 'CONNECT' | 'MESSAGE' | 'DISCONNECT', frame?: object): object {
  const requestContext = { connectionId, eventType, connectedAt, authorizer };
  return frame === undefined ? { requestContext } : { requestContext, body: JSON.stringify(frame) };
}

function frameIn(response: unknown): unknown {
  return JSON.parse((response as { body: string }).body);
}

function rows() {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return dynamoConnections(table.tableName, { endpoint: table.url, region: 'us-east-1', credentials });
}

/** The row of the events' connection, as it is when it has just been opened. */
async function connected(): Promise<void> {
  await rows().remove(connectionId, connectedAt);
  await rows().open(leaseFrom(connectionId, connectedAt));
}

/** What the event source mapping hands over of a queue with one message. */
async function eventOf(queue: string): Promise<MqEvent> {
  return mqEvent('arn:aws:mq:us-east-1:123456789012:broker:b:b-1', queue, '/', [mqRecord(await taken(queue))]);
}

async function taken(queue: string): Promise<ConsumeMessage> {
  const message = await client.channel.get(queue, { noAck: true });
  if (message === false) throw new Error(`${queue} is empty`);
  return message as unknown as ConsumeMessage;
}

/** For each function: an event, and what must come of it. */
const events: Record<string, () => Promise<void>> = {
  async authorizer() {
    const methodArn = 'arn:aws:execute-api:us-east-1:123456789012:api/dev/$connect';
    const answer = await invoke('authorizer', {
      type: 'REQUEST',
      methodArn,
      headers: { 'Sec-WebSocket-Protocol': `gateway.v1, bearer.${await issuer.token()}` },
      requestContext: { connectionId, eventType: 'CONNECT' },
    });
    expect(answer).toMatchObject({
      policyDocument: { Statement: [{ Effect: 'Allow', Resource: methodArn }] },
      context: { userId: 'alice' },
    });
  },

  async connect() {
    const before = table.requests.length;
    expect(await invoke('connect', webSocketEvent('CONNECT'))).toMatchObject({ statusCode: 200 });
    expect(table.requests.slice(before)).toEqual([{ operation: 'PutItem', table: table.tableName }]);
  },

  async session() {
    await connected();
    const answer = await invoke('session', webSocketEvent('MESSAGE', { action: 'session', id: '1' }));
    const { session } = frameIn(answer) as { session: string };
    expect(frameIn(answer)).toMatchObject({ event: 'session', id: '1', resumed: false, ttlSeconds: 300, seq: 0 });
    expect(await rows().membership(connectionId)).toMatchObject({ session });
  },

  async disconnect() {
    await connected();
    await rows().join(connectionId, 'session_that_is_over', 0);
    const before = table.requests.length;
    expect(await invoke('disconnect', webSocketEvent('DISCONNECT'))).toMatchObject({ statusCode: 200 });
    expect(table.requests.slice(before)).toEqual([
      { operation: 'DeleteItem', table: table.tableName },
      { operation: 'GetItem', table: table.sessionTableName },
    ]);
  },

  async default() {
    const answer = await invoke('default', webSocketEvent('MESSAGE', { action: 'ping', id: '1' }));
    expect(frameIn(answer)).toMatchObject({ event: 'pong' });
  },

  async send() {
    const frame = { action: 'send', id: '1', data: { prompt: 'hello' } };
    const ack = frameIn(await invoke('send', webSocketEvent('MESSAGE', frame)));
    const { content, properties } = await taken(apiQueue);
    expect(ack).toEqual({ event: 'ack', id: '1', messageId: properties.messageId });
    expect(JSON.parse(String(content)).data).toMatchObject({
      prompt: 'hello',
      metadata: { socket_id: connectionId, user_id: 'alice' },
    });
  },

  async worker() {
    const request = { pattern: { cmd: 'send' }, data: { prompt: 'hello', metadata: { socket_id: connectionId } } };
    client.channel.sendToQueue(apiQueue, Buffer.from(JSON.stringify(request)), { replyTo: wsQueue, messageId: 'm' });
    await invoke('worker', await eventOf(apiQueue));
    const { content, properties } = await taken(wsQueue);
    expect(properties.messageId).toBe('m:reply');
    expect(JSON.parse(String(content)).data.metadata).toEqual({ socket_id: connectionId });
  },

  async consumer() {
    const reply = { pattern: { cmd: 'recv' }, data: { text: 'hi', metadata: { socket_id: connectionId } } };
    client.channel.sendToQueue(wsQueue, Buffer.from(JSON.stringify(reply)), { messageId: 'r' });
    await invoke('consumer', await eventOf(wsQueue));
    expect(api.taken.get(connectionId)).toMatchObject([{ event: 'recv', messageId: 'r', data: { text: 'hi' } }]);
  },

  async topology() {
    await client.channel.deleteQueue(wsQueue);
    await invoke('topology', {
      RequestType: 'Create',
      ResponseURL: bucket.url,
      StackId: 'arn:aws:cloudformation:us-east-1:123456789012:stack/ws-gateway-dev/1c2fa620',
      RequestId: 'r-1',
      LogicalResourceId: 'Topology',
      ResourceProperties: { Queues: [apiQueue, wsQueue], DeleteQueues: 'false' },
    });
    expect(bucket.answer()).toMatchObject({ Status: 'SUCCESS', LogicalResourceId: 'Topology' });
    await client.channel.checkQueue(wsQueue);
  },
};

/** One that is in several is the same in each. */
function filesOfZips(): Map<string, Buffer> {
  return new Map([...zips.values()].flatMap((files) => [...files]));
}

describe('the zips', () => {
  test('are one for each function, with its bundle, what that loads late, and nothing else in it', async () => {
    const late: Record<string, string[]> = {
      send: ['dist/late/close.js'],
      consumer: ['dist/late/open-dead-letters.js'],
    };
    const functions = (await readdir(join(root, 'functions'))).map((file) => file.replace('.ts', ''));
    expect([...zips.keys()].sort()).toEqual(functions.sort());
    for (const [name, files] of zips) {
      expect([...files.keys()].sort()).toEqual([...(late[name] ?? []), `dist/${name}.js`].sort());
    }
  });

  test('are minified, with source maps beside them that nothing mentions', async () => {
    for (const [file, content] of filesOfZips()) {
      const bundle = String(content);
      expect(bundle).not.toContain('sourceMappingURL');
      expect(bundle.length / bundle.split('\n').length).toBeGreaterThan(200);
      const map = JSON.parse(await readFile(join(root, `${file}.map`), 'utf8'));
      const source = file
        .replace(/^dist\/late/, '../../lib')
        .replace(/^dist/, '../functions')
        .replace(/js$/, 'ts');
      expect(map.sources).toContain(source);
    }
  });

  test('hold only what their function calls', () => {
    const marks = {
      amqplib: 'amqplib',
      jose: 'ERR_JWS',
      secret: 'GetSecretValue',
      table: 'DynamoDB_20120810',
      connections: '/@connections/',
    };
    const calls = Object.fromEntries(
      [...filesOfZips()].map(([file, bundle]) => [
        file.replace(/^dist\/|\.js$/g, ''),
        Object.entries(marks).flatMap(([part, mark]) => (bundle.includes(mark) ? [part] : [])),
      ]),
    );
    expect(calls).toEqual({
      authorizer: ['jose', 'secret'],
      connect: ['table'],
      consumer: ['table', 'connections'],
      default: [],
      disconnect: ['table'],
      'late/close': ['connections'],
      'late/open-dead-letters': ['amqplib', 'secret'],
      send: ['amqplib', 'secret', 'table'],
      session: ['table', 'connections'],
      topology: ['amqplib', 'secret'],
      worker: ['amqplib', 'secret'],
    });
  });

  test('have the sizes that npm run size tells', async () => {
    const { stdout } = await run(process.execPath, ['--import', 'tsx', 'infra/size.cli.ts', '--json'], { cwd: root });
    const told = JSON.parse(stdout) as { name: string; bytes: number; largest: { from: string; bytes: number }[] }[];
    const sizes = Object.fromEntries([...filesOfZips()].map(([file, { length }]) => [file, length]));
    expect(Object.fromEntries(told.map(({ name, bytes }) => [`dist/${name}.js`, bytes]))).toEqual(sizes);
    for (const { largest } of told) expect(largest.map(({ bytes }) => bytes)).not.toContain(0);
  });
});

describe(`a function, started from its zip under ${runtimeClient ? 'the runtime client of AWS' : 'plain Node'}`, () => {
  test.each(Object.keys(events))('handles an event, and logs in lines of JSON: %s', async (name) => {
    await events[name]?.();
    const amiss = started?.log.filter((line) => !('_aws' in line) && !/^(DEBUG|INFO)$/.test(line.level ?? ''));
    expect(amiss).toEqual([]);
  });

  test('closes who may not send any more by what it loads late', async () => {
    const expired = { ...authorizer, tokenExpiresAt: '1' };
    const event = webSocketEvent('MESSAGE', { action: 'send', id: '1', data: {} }) as { requestContext: object };
    await invoke('send', { ...event, requestContext: { ...event.requestContext, authorizer: expired } });
    expect(api.closed).toEqual([connectionId]);
  });

  test('lays down a dead letter by what it loads late', async () => {
    client.channel.sendToQueue(wsQueue, Buffer.from('no reply'));
    await invoke('consumer', await eventOf(wsQueue));
    const { content, properties } = await taken(`${wsQueue}.dead`);
    expect(String(content)).toBe('no reply');
    expect(properties.headers).toMatchObject({ 'x-verdict': 'malformed' });
  });

  test('is each of them', () => {
    expect(Object.keys(events).sort()).toEqual([...zips.keys()].sort());
  });
});
