import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import { apiGatewayClose } from '../../lib/close';
import { apiGatewayPost, type Post } from '../../lib/post';
import { closeServer } from '../helpers/http-server';
import { type ManagementApi, type Outcome, startManagementApi } from '../helpers/management-api';

let api: ManagementApi | undefined;

beforeAll(() => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
});

afterEach(async () => {
  await api?.close();
  api = undefined;
});

function postTo(url: string): Post {
  return apiGatewayPost(url, { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } });
}

const page = '<html>Forbidden</html>';

describe('a post', () => {
  test.each<[string, Outcome, string]>([
    ['200', 200, 'delivered'],
    ['200, then a reset', { status: 200, midway: 'reset' }, 'delivered'],
    ['200, then nothing more', { status: 200, midway: 'hang' }, 'delivered'],
    ['200 with a body that is not JSON', { status: 200, body: 'taken' }, 'delivered'],
    ['410 without a body', 410, 'gone'],
    ['410 with a body', { status: 410, body: '{"message":"Gone"}' }, 'gone'],
    ['410, then a reset', { status: 410, midway: 'reset' }, 'gone'],
    ['410, then nothing more', { status: 410, midway: 'hang' }, 'gone'],
    ['413', 413, 'too_large'],
    ['413 of a proxy', { status: 413, body: page }, 'too_large'],
    ['400', 400, 'bad_id'],
    ['403', 403, 'forbidden'],
    ['403 of a proxy', { status: 403, body: page }, 'forbidden'],
    ['429', 429, 'throttled'],
    ['408', 408, 'transient'],
    ['500', 500, 'transient'],
    ['503', 503, 'transient'],
    ['504', 504, 'transient'],
    ['504 of a proxy', { status: 504, body: page }, 'transient'],
    ['nothing, for too long', 'hang', 'transient'],
    ['200 too late', { status: 200, delayMs: 1500 }, 'transient'],
    ['half of a 500', { status: 500, midway: 'hang' }, 'transient'],
    ['a reset', 'reset', 'transient'],
  ])('that is answered by %s, once, is told so', async (_, outcome, result) => {
    api = await startManagementApi(() => outcome);
    expect(await postTo(api.url)('a', '{}', { timeoutMs: 1000 })).toMatchObject({ result });
    expect(api.posts).toHaveLength(1);
  });

  test('finds nobody at a closed port', async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const outcome = await postTo(`http://127.0.0.1:${port}`)('a', '{}', { timeoutMs: 1000 });
    expect(outcome).toEqual({
      result: 'transient',
      reason: expect.stringContaining(`connect ECONNREFUSED 127.0.0.1:${port}`),
    });
  });

  test('tells in few words why it is forbidden', async () => {
    api = await startManagementApi((id) => (id === 'a' ? 403 : { status: 403, body: `<html>${'x'.repeat(9000)}` }));
    const post = postTo(api.url);
    expect(await post('a', '{}', { timeoutMs: 1000 })).toEqual({
      result: 'forbidden',
      reason: 'ForbiddenException: Forbidden',
    });
    const { reason } = (await post('b', '{}', { timeoutMs: 1000 })) as { reason: string };
    expect(reason.length).toBeLessThanOrEqual(500);
  });

  test('that is given up closes its socket, so that fifty that hang keep no other from being posted', async () => {
    api = await startManagementApi((id) => (id.startsWith('hangs') ? 'hang' : 200));
    const post = postTo(api.url);
    const hanging = Array.from({ length: 50 }, (_, n) => post(`hangs${n}`, '{}', { timeoutMs: 500 }));
    expect(new Set((await Promise.all(hanging)).map(({ result }) => result))).toEqual(new Set(['transient']));
    await api.socketsAtMost(0);
    const others = Array.from({ length: 50 }, (_, n) => post(`c${n}`, '{}', { timeoutMs: 5000 }));
    expect(new Set((await Promise.all(others)).map(({ result }) => result))).toEqual(new Set(['delivered']));
  });

  test('that hangs in the midst of an answer closes its socket too', async () => {
    api = await startManagementApi(() => ({ status: 200, midway: 'hang' }));
    await postTo(api.url)('a', '{}', { timeoutMs: 300 });
    await api.socketsAtMost(0);
  });
});

interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

describe('a call of @connections', () => {
  const region = 'eu-west-1';
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'of/a+role==' };

  /** What a server sees of the calls, with the stage in the path as API Gateway has it. */
  async function seenOf(calls: (endpoint: string) => Promise<unknown>): Promise<Seen[]> {
    const seen: Seen[] = [];
    const server = createHttpServer(async (request, response) => {
      const { method = '', url: path = '', headers } = request;
      seen.push({ method, path, headers, body: await text(request) });
      response.end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    await calls(`http://127.0.0.1:${(server.address() as AddressInfo).port}/dev`);
    await closeServer(server);
    return seen;
  }

  /** By the signer of the AWS SDK. */
  async function signed({ method, path, headers, body }: Seen): Promise<string | undefined> {
    const [, names = ''] = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '') ?? [];
    const covered = Object.fromEntries(names.split(';').map((name) => [name, String(headers[name])]));
    const [, ...time] = /(....)(..)(..)T(..)(..)(..)Z/.exec(covered['x-amz-date'] ?? '') ?? [];
    const [year, month, day, hour, minute, second] = time.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const signer = new SignatureV4({
      service: 'execute-api',
      region,
      credentials,
      sha256: Sha256,
      applyChecksum: false,
    });
    const request = { method, protocol: 'http:', hostname: '127.0.0.1', path, headers: covered, body };
    const { headers: oracle } = await signer.sign(request, {
      signingDate: new Date(Date.UTC(year, month - 1, day, hour, minute, second)),
    });
    return oracle.authorization;
  }

  test('is signed as the AWS SDK signs it, for an id with = and a frame in UTF-8', async () => {
    const frame = '{"event":"recv","data":"grüße 🙂"}';
    const [post, close, ...others] = await seenOf(async (endpoint) => {
      await apiGatewayPost(endpoint, { region, credentials })('L0SM9cOFvHcCIhw=', frame, { timeoutMs: 1000 });
      await apiGatewayClose(endpoint, { region, credentials })('L0SM9cOFvHcCIhw=', undefined, Date.now() + 1000);
    });
    expect(others).toEqual([]);
    expect(post).toMatchObject({ method: 'POST', path: '/dev/@connections/L0SM9cOFvHcCIhw%3D', body: frame });
    expect(close).toMatchObject({ method: 'DELETE', path: '/dev/@connections/L0SM9cOFvHcCIhw%3D', body: '' });
    for (const call of [post, close]) {
      expect(call?.headers['x-amz-security-token']).toBe(credentials.sessionToken);
      expect(call?.headers.authorization).toBe(await signed(call as Seen));
    }
  });

  test('has no header that nobody reads', async () => {
    const [post] = await seenOf((endpoint) =>
      apiGatewayPost(endpoint, { region, credentials })('a', '{}', { timeoutMs: 1000 }),
    );
    expect(Object.keys(post?.headers ?? {}).sort()).toEqual([
      'authorization',
      'content-length',
      'content-type',
      'host',
      'x-amz-date',
      'x-amz-security-token',
    ]);
  });
});
