import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Context } from 'aws-lambda';
import { leaseFrom } from '../../lib/connections';
import { dynamoConnections } from '../../lib/connections.dynamo';
import type { RouteHandler, WebSocketEvent } from '../../lib/route';
import { startTableApi } from '../helpers/table-api';

/**
 * What `$connect`, `$disconnect` and the connection table do while DynamoDB fails: the functions as they are, on
 * a server that gives the service's own errors.
 */

let answer: RequestListener;
let requests = 0;
let server: Server;
let written: string[] = [];
const env = { ...process.env };
const write = { stdout: process.stdout.write, stderr: process.stderr.write };
let connect: RouteHandler;
let disconnect: RouteHandler;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests += 1;
    request.resume();
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  Object.assign(process.env, {
    TABLE_NAME: 'connections',
    SESSION_TABLE_NAME: 'sessions',
    AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  });
  // Only now: a function reads its configuration while it is loaded.
  connect = jest.requireActual<{ handler: RouteHandler }>('../../functions/connect').handler;
  disconnect = jest.requireActual<{ handler: RouteHandler }>('../../functions/disconnect').handler;
});

beforeEach(() => {
  requests = 0;
  written = [];
  const capture = (text: string) => written.push(text) > 0;
  process.stdout.write = capture;
  process.stderr.write = capture;
});

afterEach(() => {
  process.stdout.write = write.stdout;
  process.stderr.write = write.stderr;
  server.closeAllConnections();
});

afterAll(() => {
  process.env = env;
  server.close();
  server.closeAllConnections();
});

const error =
  (status: number, type: string): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message: `${type}.` }));
  };

const faults: [string, RequestListener][] = [
  ['throttles', error(400, 'ThrottlingException')],
  ['has too little capacity', error(400, 'ProvisionedThroughputExceededException')],
  ['fails', error(500, 'InternalServerError')],
  ['is unavailable', (_request, response) => void response.writeHead(503).end('<html>')],
  ['closes the connection', (request) => void request.socket.resetAndDestroy()],
  ['never answers', () => undefined],
  [
    'never ends its answer',
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0', 'content-length': 2 });
      response.flushHeaders();
    },
  ],
  ['has no such table', error(400, 'ResourceNotFoundException')],
  ['lets the function do nothing', error(400, 'AccessDeniedException')],
];

/** Of the functions; `$connect` and `$disconnect` have as long. */
const timeoutMs = 10_000;

async function run(handler: RouteHandler, eventType: WebSocketEvent['requestContext']['eventType']) {
  const endsAt = Date.now() + timeoutMs;
  const context = { getRemainingTimeInMillis: () => endsAt - Date.now() } as Context;
  const response = await handler({ requestContext: { connectionId: 'c', eventType, connectedAt: 1 } }, context);
  return { response, leftMs: endsAt - Date.now() };
}

describe.each(faults)('while DynamoDB %s', (_, fault) => {
  test('a client is refused in time, and the log says why', async () => {
    answer = fault;
    const { response, leftMs } = await run(connect, 'CONNECT');
    expect(response).toEqual({ statusCode: 503 });
    expect(leftMs).toBeGreaterThan(2000);
    expect(JSON.parse(written[0] as string)).toMatchObject({
      level: 'ERROR',
      message: 'Failed to handle CONNECT',
      connectionId: 'c',
      error: { name: expect.any(String) },
    });
  });

  test('who asks for a session is told in time that there is no answer', async () => {
    answer = fault;
    const connections = dynamoConnections('connections');
    const startedAt = Date.now();
    const asked = await Promise.allSettled([
      connections.join('c', 's', 1),
      connections.membership('c', 1),
      connections.remove('c', 1),
    ]);
    expect(asked.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(Date.now() - startedAt).toBeLessThan(7000);
  });
});

test('an answer that is lost makes no difference: what is asked again finds what was done', async () => {
  const table = await startTableApi();
  const connections = dynamoConnections(table.tableName, { endpoint: table.url });
  const loseOne = () => {
    let lost = 0;
    table.answer(() => {
      lost += 1;
      return lost === 1 ? 'lose' : 'work';
    });
  };
  loseOne();
  await connections.open(leaseFrom('c', 1000));
  loseOne();
  expect(await connections.membership('c', 5000)).toBeUndefined();
  loseOne();
  expect(await connections.join('c', 's', 9000)).toEqual({ result: 'joined', plainUntil: 5000 });
  loseOne();
  expect(await connections.membership('c', 7000)).toEqual({ session: 's', sessionEndsAt: 9000 });
  // Only in which session it was is not known any more.
  loseOne();
  expect(await connections.remove('c', 1000)).toEqual({ result: 'kept' });
  const operations = table.requests.map(({ operation }) => operation);
  expect(operations.filter((each) => each === 'GetItem')).toHaveLength(2);
  expect(operations).toHaveLength(5 * 2 + 2);
  await table.close();
});

test('a disconnect ends in time, though DynamoDB never answers to several attempts', async () => {
  answer = () => undefined;
  const { response, leftMs } = await run(disconnect, 'DISCONNECT');
  expect(response).toEqual({ statusCode: 503 });
  expect(requests).toBeGreaterThan(1);
  expect(leftMs).toBeGreaterThan(2000);
});

test('a fault that is over at the next attempt keeps nobody out', async () => {
  answer = (request, response) => {
    if (requests === 1) return error(400, 'ThrottlingException')(request, response);
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end('{}');
  };
  expect((await run(connect, 'CONNECT')).response).toEqual({ statusCode: 200 });
  expect(requests).toBe(2);
});

test('a table that nobody listens for is told within moments', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const startedAt = Date.now();
  const opening = dynamoConnections('connections', { endpoint: `http://127.0.0.1:${port}` }).open({
    connectionId: 'c',
    openedAt: 1,
    expiresAt: 2,
  });
  await expect(opening).rejects.toThrow(/ECONNREFUSED/);
  expect(Date.now() - startedAt).toBeLessThan(timeoutMs / 2);
});
