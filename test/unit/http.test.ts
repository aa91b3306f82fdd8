import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { httpClient, type Send } from '../../lib/http';
import { cert, key } from '../helpers/certificate';
import { closeServer } from '../helpers/http-server';
import { root } from '../helpers/stack';

/** What a server says byte by byte, which one of `node:http` never would. */

const request = { method: 'POST', path: '/', headers: { host: 'h' }, body: 'grüße' };
const times = { headMs: 1000 };

let server: Server | undefined;
let sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  server?.close();
  server = undefined;
});

/** @param answer is called for each request that has come, all in one piece. */
async function sendTo(answer: (socket: Socket, request: string) => void): Promise<Send> {
  server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (text) => answer(socket, String(text)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return httpClient(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/stage`));
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}';

describe('a request by HTTP/1.1', () => {
  test('is written with its length in bytes, and its connection serves the next', async () => {
    const seen: string[] = [];
    const send = await sendTo((socket, text) => {
      seen.push(text);
      socket.write(ok);
    });
    const answer = { status: 200, head: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n', text: '{}' };
    expect(await send(request, times)).toEqual(answer);
    expect(await send({ ...request, method: 'DELETE', body: '' }, times)).toEqual(answer);
    expect(seen).toEqual([
      'POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 7\r\n\r\ngrüße',
      'DELETE / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n',
    ]);
    expect(sockets).toHaveLength(1);
  });

  test('understands an answer that comes byte by byte, behind another that is none yet, with a body in UTF-8', async () => {
    const body = '{"message":"grüße"}';
    const text = `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 403 Forbidden\r\ncontent-length:${Buffer.byteLength(body)}\r\n\r\n${body}`;
    const send = await sendTo(async (socket) => {
      for (const byte of Buffer.from(text)) {
        // Written one by one, and each read before the next.
        await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
        await new Promise(setImmediate);
      }
    });
    expect(await send(request, times)).toMatchObject({ status: 403, text: body });
    expect(await send(request, times)).toMatchObject({ status: 403, text: body });
    expect(sockets).toHaveLength(1);
  });

  test.each([
    ['the wish to close', 'HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n'],
    ['an older version', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['more than it should have', `${ok}HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n`],
  ])('takes the status, and not the connection again, from %s', async (_, text) => {
    const send = await sendTo((socket) => socket.write(text));
    expect(await send(request, times)).toMatchObject({ status: 200 });
    expect(await send(request, times)).toMatchObject({ status: 200 });
    expect(sockets).toHaveLength(2);
  });

  test('needs no body to a 204', async () => {
    const send = await sendTo((socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
    expect(await send(request, times)).toMatchObject({ status: 204, text: '' });
    expect(await send(request, times)).toMatchObject({ status: 204, text: '' });
    expect(sockets).toHaveLength(1);
  });

  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'none of HTTP/1.1'],
    ['a head without an end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(70_000)}`, 'too long'],
  ])('fails on %s', async (_, text, reason) => {
    const send = await sendTo((socket) => socket.write(text));
    await expect(send(request, times)).rejects.toThrow(reason);
  });

  test('waits for the last of the chunks of a body, and keeps its connection', async () => {
    const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n';
    const send = await sendTo((socket) => {
      socket.write(chunked);
      setImmediate(() => socket.write('0\r\n\r\n'));
    });
    expect(await send(request, times)).toMatchObject({ status: 200, text: '{}' });
    expect(await send(request, times)).toMatchObject({ status: 200 });
    expect(sockets).toHaveLength(1);
  });

  test('puts the chunks of a body together, whatever their sizes and extensions', async () => {
    const chunks = `a;x=y\r\n${'x'.repeat(10)}\r\n1C\r\n${'\r\n\r\n'.repeat(7)}\r\n0\r\nTrailer: t\r\n\r\n`;
    const send = await sendTo((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`),
    );
    const answer = await send(request, times);
    expect(answer.text).toBe(`${'x'.repeat(10)}${'\r\n\r\n'.repeat(7)}`);
    expect(answer.cutOff).toBeUndefined();
  });

  test('has all of a body that ends with its connection', async () => {
    const send = await sendTo((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n{}');
      setImmediate(() => socket.end('{}'));
    });
    const answer = await send(request, times);
    expect(answer).toMatchObject({ status: 200, text: '{}{}' });
    expect(answer.cutOff).toBeUndefined();
    await send(request, times);
    expect(sockets).toHaveLength(2);
  });

  test.each([
    ['by a length', 'Content-Length: 10\r\n\r\n{}'],
    ['by chunks', 'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n'],
  ])('is told that more of a body was announced %s than came', async (_, text) => {
    const send = await sendTo((socket) => socket.end(`HTTP/1.1 200 OK\r\n${text}`));
    const answer = await send(request, times);
    expect(answer).toMatchObject({ status: 200, cutOff: { code: 'ECONNRESET', wasKept: false } });
  });

  test('waits for a body that comes slowly as long as its signal allows, and without one as for the head', async () => {
    const send = await sendTo((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{');
      setTimeout(() => socket.write('}'), 300);
    });
    const { text, cutOff } = await send(request, { headMs: 100, signal: AbortSignal.timeout(60_000) });
    expect({ text, cutOff }).toEqual({ text: '{}', cutOff: undefined });
    const late = await send(request, { headMs: 100 });
    expect(late).toMatchObject({ status: 200, text: '{', cutOff: { name: 'TimeoutError', wasKept: true } });
  });

  test('does not go where nothing was said for so long that the way there may be forgotten', async () => {
    const send = await sendTo((socket) => socket.write(ok));
    await send(request, times);
    const minutes = (count: number) => Date.now() + count * 60_000;
    const [soon, late] = [minutes(4), minutes(9.5)];
    const now = jest.spyOn(Date, 'now').mockReturnValue(soon);
    await send(request, times);
    expect(sockets).toHaveLength(1);
    now.mockReturnValue(late);
    await send(request, times);
    expect(sockets).toHaveLength(2);
    now.mockRestore();
  });

  test('that is told of a body without an end has the head of its answer', async () => {
    const send = await sendTo((socket) => {
      socket.write('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 9999999\r\n\r\n');
      socket.write('x'.repeat(70_000));
    });
    expect(await send(request, times)).toMatchObject({ status: 502 });
  });

  test('that fails on a connection that was kept makes the others that wait be closed: they are as old', async () => {
    let isGone = false;
    const send = await sendTo((socket) => (isGone ? socket.destroy() : socket.write(ok)));
    await Promise.all(Array.from({ length: 5 }, () => send(request, times)));
    expect(sockets).toHaveLength(5);
    isGone = true;
    await expect(send(request, times)).rejects.toThrow();
    isGone = false;
    expect(await send(request, times)).toMatchObject({ status: 200 });
    expect(sockets).toHaveLength(6);
  });

  test('is sent on no connection that the server has closed in the meantime', async () => {
    const send = await sendTo((socket) => socket.write(ok));
    await send(request, times);
    const [first] = sockets as [Socket];
    first.end();
    // The end has come to the other side when its own has come back.
    await once(first, 'close');
    expect(await send(request, times)).toMatchObject({ status: 200 });
    expect(sockets).toHaveLength(2);
  });

  test('fails as late as it may, in an error that says so', async () => {
    const send = await sendTo(() => undefined);
    await expect(send(request, { headMs: 50 })).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('goes to no other protocol', () => {
    expect(() => httpClient(new URL('ftp://127.0.0.1'))).toThrow('neither http: nor https:');
  });
});

describe('a request by HTTPS', () => {
  /** Whom Node trusts, it is told when it starts. Resolves with the statuses of two requests, or with what is amiss. */
  async function statusesAt(url: string, trust: Record<string, string>): Promise<string> {
    const program = `
      require('tsx/cjs');
      const { httpClient } = require('./lib/http');
      const send = httpClient(new URL(process.argv[1]));
      const request = { method: 'POST', path: '/', headers: { host: 'h' }, body: 'x' };
      const times = { headMs: 5000 };
      const twice = async () => [await send(request, times), await send(request, times)].map(({ status }) => status);
      twice().then((statuses) => console.log(statuses.join()), (error) => console.log(error.message));`;
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program, url], {
      cwd: root,
      env: { ...env, ...trust },
    });
    return stdout.trim();
  }

  test('reaches who is trusted by that name, on a connection that is kept, and nobody else', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ws-gateway-trust-'));
    const trusted = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
    await writeFile(trusted.NODE_EXTRA_CA_CERTS, cert);
    let connections = 0;
    let requests = 0;
    const secure = createHttpsServer({ key, cert }, (_, response) => {
      requests += 1;
      response.end();
    }).listen(0, '127.0.0.1');
    secure.on('secureConnection', () => {
      connections += 1;
    });
    await once(secure, 'listening');
    const { port } = secure.address() as AddressInfo;
    try {
      expect(await statusesAt(`https://localhost:${port}`, trusted)).toBe('200,200');
      expect({ connections, requests }).toEqual({ connections: 1, requests: 2 });
      expect(await statusesAt(`https://127.0.0.1:${port}`, trusted)).toContain("does not match certificate's altnames");
      expect(await statusesAt(`https://localhost:${port}`, {})).toBe('self-signed certificate');
      expect(requests).toBe(2);
    } finally {
      await closeServer(secure);
      await rm(folder, { recursive: true });
    }
  });
});
