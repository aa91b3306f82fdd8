import crypto from 'node:crypto';
import dns from 'node:dns';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import { type AwsClientConfig, AwsError, type AwsService, awsClient } from '../../lib/aws-json';
import { closeServer } from '../helpers/http-server';

/** The client of AWS's JSON protocol on a real server, which behaves as AWS and what is between may. */

interface Asked {
  method: string | undefined;
  path: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

type Operations = { Ask: [object, { answer?: string }] };

const service: AwsService = {
  name: 'dynamodb',
  target: 'DynamoDB_20120810',
  jsonVersion: '1.0',
  variable: 'DYNAMODB',
  attempts: 3,
  headMs: 300,
};
const credentials = { accessKeyId: 'id', secretAccessKey: 'hunter2', sessionToken: 'token-of-the-role' };

let server: Server;
let url: string;
/** Of all requests. */
let asked: Asked[];
/** In the order in which they came up. */
let sockets: Socket[];
/** The nth request is answered by the nth of them, the last ones by the last. */
let answers: RequestListener[];
const env = { ...process.env };

beforeEach(async () => {
  asked = [];
  sockets = [];
  answers = [json({ answer: 'yes' })];
  server = createServer(async (request, response) => {
    const { method, url: path, headers } = request;
    const index = asked.push({ method, path, headers, body: '' }) - 1;
    const body = await text(request).catch(() => '');
    Object.assign(asked[index] as Asked, { body });
    answers[Math.min(index, answers.length - 1)]?.(request, response);
  });
  server.on('connection', (socket) => sockets.push(socket));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  process.env = { ...env };
  jest.restoreAllMocks();
  await closeServer(server);
});

function json(body: object, status = 200): RequestListener {
  return (_, response) => void response.writeHead(status).end(JSON.stringify(body));
}

const refuse = (status: number, name: string) =>
  json({ __type: `com.amazonaws.dynamodb.v20120810#${name}`, message: `${name}, in words.` }, status);
const page: RequestListener = (_, response) =>
  void response.writeHead(403, { 'content-type': 'text/html' }).end('<html>Proxy</html>');
const hang: RequestListener = () => undefined;
const reset: RequestListener = ({ socket }) => void socket.resetAndDestroy();
const plain =
  (body: string, status = 200): RequestListener =>
  (_, response) =>
    void response.writeHead(status).end(body);
const broken: RequestListener = (_, response) => {
  response.writeHead(200, { 'content-length': 100 }).write('{"answer":', () => response.destroy());
};
/** A byte at a time, for as long as anybody reads. */
const trickle: RequestListener = (_, response) => {
  response.writeHead(200).write('{"answer":"');
  const timer = setInterval(() => response.write('x'), 10);
  response.on('close', () => clearInterval(timer));
};

type Options = Partial<Pick<AwsService, 'attempts' | 'headMs'>> & { endpoint?: string; signal?: AbortSignal };

function ask(input: object = {}, options: Options = {}) {
  const { endpoint = url, signal = AbortSignal.timeout(10_000), attempts = 3, headMs = 300 } = options;
  const config = { endpoint, region: 'eu-west-1', credentials };
  return awsClient<Operations>({ ...service, attempts, headMs }, config).send('Ask', input, signal);
}

const failure = (asking: Promise<unknown>): Promise<Error & { status?: number }> =>
  asking.then(
    () => {
      throw new Error('it was answered');
    },
    (error) => error,
  );

describe('a call', () => {
  test('is a POST of the input, signed as the SDK would sign what arrives', async () => {
    const input = { text: 'Grüße, 世界 \u{1f511}', lone: '\ud800', quote: '"\\' };
    expect(await ask(input)).toEqual({ answer: 'yes' });
    const [{ method, path, headers, body } = {} as Asked] = asked;
    expect({ method, path, body }).toEqual({ method: 'POST', path: '/', body: JSON.stringify(input) });
    expect(headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'DynamoDB_20120810.Ask',
      'x-amz-security-token': credentials.sessionToken,
    });
    const signer = new SignatureV4({
      credentials,
      service: 'dynamodb',
      region: 'eu-west-1',
      sha256: Sha256,
      applyChecksum: false,
    });
    const names = ['host', 'content-type', 'x-amz-target'] as const;
    const signed = await signer.sign(
      {
        protocol: 'http:',
        hostname: '127.0.0.1',
        method: 'POST',
        path: '/',
        headers: Object.fromEntries(names.map((name) => [name, String(headers[name])])),
        body,
      },
      { signingDate: timeOf(String(headers['x-amz-date'])) },
    );
    expect(headers.authorization).toBe(signed.headers.authorization);
    expect(Math.abs(Date.now() - timeOf(String(headers['x-amz-date'])).getTime())).toBeLessThan(60_000);
  });

  test('reads an answer whose characters are cut in two on the way', async () => {
    const bytes = Buffer.from(JSON.stringify({ answer: 'ü世\u{1f511}'.repeat(50) }));
    answers = [
      async (_, response) => {
        response.writeHead(200);
        for (const byte of bytes) await new Promise((resolve) => response.write(Buffer.of(byte), resolve));
        response.end();
      },
    ];
    expect(await ask()).toEqual({ answer: 'ü世\u{1f511}'.repeat(50) });
  });

  test('uses a connection again', async () => {
    for (let count = 0; count < 3; count += 1) await ask();
    expect(sockets).toHaveLength(1);
  });

  test.each<[string, RequestListener]>([
    ['throttles', refuse(400, 'ThrottlingException')],
    ['has too little capacity', refuse(400, 'ProvisionedThroughputExceededException')],
    ['takes no more', refuse(400, 'RequestLimitExceeded')],
    ['is asked too often', plain('', 429)],
    ['fails', refuse(500, 'InternalServerError')],
    ['is away, as a proxy says', plain('<html>', 502)],
    ['gave up', plain('', 408)],
    ['resets the connection', reset],
    ['never answers', hang],
    ['breaks off within its answer', broken],
    ['answers with half of it', plain('{"answer":')],
    ['answers with a page', plain('<html>')],
    ['answers with a text', plain('"yes"')],
  ])('is asked again where the service %s, and finds it well', async (_, fault) => {
    answers = [fault, fault, json({ answer: 'at last' })];
    expect(await ask()).toEqual({ answer: 'at last' });
    expect(asked).toHaveLength(3);
    expect(new Set(asked.map(({ body }) => body)).size).toBe(1);
  });

  test.each<[string, RequestListener, object]>([
    ['an input that is none', refuse(400, 'ValidationException'), { name: 'ValidationException', status: 400 }],
    [
      'a condition that does not hold',
      refuse(400, 'ConditionalCheckFailedException'),
      { name: 'ConditionalCheckFailedException' },
    ],
    ['a role that may not', refuse(400, 'AccessDeniedException'), { name: 'AccessDeniedException', status: 400 }],
    ['a page of a proxy', page, { name: 'UnknownError', status: 403 }],
    ['a body that is too large', plain('', 413), { name: 'UnknownError', status: 413 }],
    [
      'another place',
      (_, response) => void response.writeHead(302, { location: url }).end(),
      { name: 'UnknownError', status: 302 },
    ],
    ['an error that is no object', plain('[]', 400), { name: 'UnknownError', status: 400 }],
  ])('is not asked again where the answer is %s', async (_, answer, told) => {
    answers = [answer];
    const error = await failure(ask());
    expect(error).toBeInstanceOf(AwsError);
    expect(error).toMatchObject(told);
    expect(asked).toHaveLength(1);
  });

  test('ends after its attempts, with the words of the service and nothing of the request', async () => {
    answers = [json({ __type: 'ThrottlingException', Message: 'w'.repeat(100_000) }, 400)];
    const error = await failure(ask({ Key: 'secret of the input' }, { attempts: 2 }));
    expect(asked).toHaveLength(2);
    expect(error).toMatchObject({ name: 'ThrottlingException', status: 400, message: 'w'.repeat(500) });
    expect(inspect(error, { depth: 10 })).not.toMatch(/hunter2|token-of-the-role|secret of the input/);
  });

  test.each<[string, RequestListener]>([
    ['never answers', hang],
    ['never ends its answer', (_, response) => response.writeHead(200, { 'content-length': 10 }).flushHeaders()],
    ['answers a byte at a time', trickle],
  ])('ends when its time is over, though the service %s', async (_, answer) => {
    answers = [answer];
    const startedAt = performance.now();
    const error = await failure(ask({}, { signal: AbortSignal.timeout(150) }));
    expect(error).toMatchObject({ name: 'TimeoutError', status: 0 });
    expect(performance.now() - startedAt).toBeLessThan(5000);
    // It is not left to hang: the server sees it end.
    await new Promise<void>((resolve) =>
      sockets[0]?.destroyed ? resolve() : sockets[0]?.once('close', () => resolve()),
    );
    expect(asked).toHaveLength(1);
  });

  test('ends when its time is over in the pause before another attempt, and tells what that was for', async () => {
    const times = new AbortController();
    jest.spyOn(crypto, 'randomInt').mockImplementation(() => {
      setImmediate(() => times.abort());
      return 60_000;
    });
    answers = [refuse(400, 'ThrottlingException')];
    expect(await failure(ask({}, { signal: times.signal }))).toMatchObject({ name: 'ThrottlingException' });
  });

  test('asks nothing where its time was over before', async () => {
    expect(await failure(ask({}, { signal: AbortSignal.abort() }))).toMatchObject({ name: 'AbortError', status: 0 });
    expect(asked).toHaveLength(0);
  });

  test('refuses an answer larger than any of AWS', async () => {
    answers = [(_, response) => void response.end(Buffer.alloc(25_000_000, 'x'))];
    expect(await failure(ask({}, { attempts: 1 }))).toMatchObject({ message: 'The answer is too large.' });
  });

  test('tells that its answer broke off', async () => {
    answers = [broken];
    expect(await failure(ask({}, { attempts: 1 }))).toMatchObject({ name: 'ECONNRESET', status: 0 });
  });

  test('tells that nobody listens', async () => {
    await closeServer(server);
    expect(await failure(ask())).toMatchObject({ name: 'ECONNREFUSED', status: 0 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
});

describe('a function that was frozen', () => {
  /** Connections that wait for their next request. */
  async function keepConnections(count: number): Promise<void> {
    const waiting: ServerResponse[] = [];
    answers = [
      (_, response) => {
        if (waiting.push(response) === count) for (const each of waiting) each.end('{}');
      },
    ];
    await Promise.all(Array.from({ length: count }, () => ask({}, { headMs: 10_000 })));
    expect(sockets).toHaveLength(count);
    asked = [];
    answers = [json({ answer: 'yes' })];
  }

  test('finds its connections closed, and its call is answered all the same', async () => {
    await keepConnections(10);
    // In the turn of the event loop in which the next request is written: nobody has heard of it yet.
    for (const socket of sockets) socket.resetAndDestroy();
    expect(await ask({}, { attempts: 2 })).toEqual({ answer: 'yes' });
  });

  test('finds nobody at the other end of all its connections, and tries one of them alone', async () => {
    await keepConnections(10);
    const old = new Set(sockets);
    answers = [
      (request, response) => {
        if (!old.has(request.socket)) json({ answer: 'yes' })(request, response);
      },
    ];
    expect(await ask({}, { attempts: 2 })).toEqual({ answer: 'yes' });
    expect(asked).toHaveLength(2);
  });
});

test('an answer that came while the function was frozen is an answer', async () => {
  const elsewhere = new Worker(
    `const { parentPort } = require('node:worker_threads');
    const server = require('node:http').createServer((request, response) => {
      parentPort.postMessage('asked');
      response.end('{"answer":"yes"}');
    });
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
    { eval: true },
  );
  const [port] = await once(elsewhere, 'message');
  const asking = ask({}, { endpoint: `http://127.0.0.1:${port}`, attempts: 1, headMs: 300 });
  await once(elsewhere, 'message');
  // Nothing of this thread runs meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600);
  expect(await asking).toEqual({ answer: 'yes' });
  await elsewhere.terminate();
});

describe('a service is asked', () => {
  /** The host that is looked for; nothing is asked of a name server. */
  async function hostAsked(config: AwsClientConfig): Promise<string> {
    const lookup = jest
      .spyOn(dns, 'lookup')
      .mockImplementation(((host: string, _: object, done: (error: Error) => void) =>
        done(new Error(`no ${host}`))) as typeof dns.lookup);
    const client = awsClient<Operations>({ ...service, attempts: 1 }, { credentials, ...config });
    await failure(client.send('Ask', {}, AbortSignal.timeout(5000)));
    return String(lookup.mock.lastCall?.[0]);
  }

  test.each([
    ['eu-west-1', 'dynamodb.eu-west-1.amazonaws.com'],
    ['cn-north-1', 'dynamodb.cn-north-1.amazonaws.com.cn'],
  ])('at its own host in a region: %s', async (region, host) => {
    process.env.AWS_ENDPOINT_URL_DYNAMODB = '';
    expect(await hostAsked({ region })).toBe(host);
    process.env.AWS_REGION = region;
    expect(await hostAsked({})).toBe(host);
  });

  test('where the environment says, and where the caller says before all', async () => {
    process.env.AWS_ENDPOINT_URL = 'http://all.example';
    expect(await hostAsked({ region: 'r' })).toBe('all.example');
    process.env.AWS_ENDPOINT_URL_DYNAMODB = 'http://one.example';
    expect(await hostAsked({ region: 'r' })).toBe('one.example');
    expect(await hostAsked({ region: 'r', endpoint: 'http://caller.example' })).toBe('caller.example');
  });

  test('by nobody without credentials or a region, and the function does not start', () => {
    for (const name of ['AWS_REGION', 'AWS_ACCESS_KEY_ID']) delete process.env[name];
    expect(() => awsClient(service, { credentials })).toThrow(/^Configuration: AWS_REGION/);
    expect(() => awsClient(service, { region: 'r' })).toThrow(/^Configuration: AWS_ACCESS_KEY_ID/);
  });
});

/** Of `20150830T123600Z`. */
function timeOf(date: string): Date {
  return new Date(date.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}
