import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
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
    ['the wish to close', 'HTTP/1.1 200 OK\r\nConnection: x, close\r\ncontent-length: 0\r\n\r\n'],
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

  test.each([
    ['another answer', '2\r\n{}\r\n0\r\n\r\nHTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n'],
    ['the begin of one', '2\r\n{}\r\n0\r\n\r\nHTTP/1.1 5'],
  ])('has its chunks, and not the connection again, where %s comes behind them', async (_, text) => {
    const send = await sendTo((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding:\tchunked\r\n\r\n${text}`),
    );
    expect(await send(request, times)).toMatchObject({ status: 200, text: '{}' });
    expect(await send(request, times)).toMatchObject({ status: 200, text: '{}' });
    expect(sockets).toHaveLength(2);
  });

  test.each(['-6', 'x', ''])('has no end in a chunk of the size "%s", and the chunks before it', async (size) => {
    const chunks = `2\r\n{}\r\n${size}\r\n\r\n`;
    const send = await sendTo((socket) =>
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`),
    );
    const answer = await send(request, { headMs: 50 });
    expect(answer).toMatchObject({ status: 200, text: '{}', cutOff: { name: 'TimeoutError' } });
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
    expect(answer).toMatchObject({ status: 200, cutOff: { code: 'ECONNRESET' } });
  });

  test('waits for a body that comes slowly as long as its signal allows, and without one as for the head', async () => {
    const send = await sendTo((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{');
      setTimeout(() => socket.write('}'), 300);
    });
    const { text, cutOff } = await send(request, { headMs: 100, signal: AbortSignal.timeout(60_000) });
    expect({ text, cutOff }).toEqual({ text: '{}', cutOff: undefined });
    const late = await send(request, { headMs: 100 });
    expect(late).toMatchObject({ status: 200, text: '{', cutOff: { name: 'TimeoutError' } });
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

  test('that fails on a connection that was kept is made again on a new one, and the others are closed: they are as old', async () => {
    let old: Socket[] = [];
    const send = await sendTo((socket) => (old.includes(socket) ? socket.destroy() : socket.write(ok)));
    await Promise.all(Array.from({ length: 5 }, () => send(request, times)));
    expect(sockets).toHaveLength(5);
    old = [...sockets];
    expect(await send(request, times)).toMatchObject({ status: 200 });
    expect(await send(request, times)).toMatchObject({ status: 200 });
    expect(sockets).toHaveLength(6);
  });

  test('that fails on a new connection, or in time, is not made again', async () => {
    let seen = 0;
    let answer = (socket: Socket) => void socket.destroy();
    const send = await sendTo((socket) => {
      seen += 1;
      answer(socket);
    });
    await expect(send(request, times)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(seen).toBe(1);
    answer = (socket) => void socket.write(ok);
    await send(request, times);
    answer = () => undefined;
    await expect(send(request, { headMs: 50 })).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(seen).toBe(3);
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
  let folder: string;
  let trusted: Record<string, string>;
  let secure: HttpsServer;
  let connections = 0;
  let requests = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ws-gateway-trust-'));
    trusted = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
    await writeFile(join(folder, 'ca.pem'), cert);
    secure = createHttpsServer({ key, cert }, ({ url }, response) => {
      requests += 1;
      if (url === '/once') response.setHeader('connection', 'close');
      response.end();
    }).listen(0, '127.0.0.1');
    secure.on('secureConnection', () => {
      connections += 1;
    });
    await once(secure, 'listening');
  });

  afterAll(async () => {
    await closeServer(secure);
    await rm(folder, { recursive: true });
  });

  /** Whom Node trusts, it is told when it starts. Resolves with what became of two requests: a status, or what is amiss. */
  async function answersAt(url: string, trust: Record<string, string>, path = '/'): Promise<string[]> {
    const program = `
      require('tsx/cjs');
      const { httpClient } = require('./lib/http');
      const send = httpClient(new URL(process.argv[1]));
      const request = { method: 'POST', path: process.argv[2], headers: { host: 'h' }, body: 'x' };
      const answer = () => send(request, { headMs: 5000 }).then(({ status }) => status, ({ message }) => message);
      (async () => console.log([await answer(), await answer(), await answer()].join('\\n')))();`;
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program, url, path], {
      cwd: root,
      env: { ...env, ...trust },
    });
    return stdout.trim().split('\n');
  }

  test('reaches who is trusted by that name, on a connection that is kept, and nobody else', async () => {
    const { port } = secure.address() as AddressInfo;
    [connections, requests] = [0, 0];
    expect(await answersAt(`https://localhost:${port}`, trusted)).toEqual(['200', '200', '200']);
    expect({ connections, requests }).toEqual({ connections: 1, requests: 3 });
    const [elsewhere] = await answersAt(`https://127.0.0.1:${port}`, trusted);
    expect(elsewhere).toContain("does not match certificate's altnames");
    const [untrusted] = await answersAt(`https://localhost:${port}`, {});
    expect(untrusted).toBe('self-signed certificate');
    expect(requests).toBe(3);
  });

  test('does not insist on a session of TLS that somebody on the way refuses', async () => {
    const hellos: boolean[] = [];
    const { port } = secure.address() as AddressInfo;
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.once('data', (hello) => {
        const resumes = offersSession(hello);
        hellos.push(resumes);
        if (resumes) return void socket.resetAndDestroy();
        const onward = connect(port, '127.0.0.1').on('error', () => undefined);
        onward.write(hello);
        socket.pipe(onward).pipe(socket);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port: through } = server.address() as AddressInfo;
    const answers = await answersAt(`https://localhost:${through}`, trusted, '/once');
    expect(answers).toEqual(['200', 'read ECONNRESET', '200']);
    expect(hellos).toEqual([false, true, false]);
  });
});

/** Whether a ClientHello has the extension `pre_shared_key`. https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2 */
function offersSession(hello: Buffer): boolean {
  const preSharedKey = 41;
  // Behind the heads of record and handshake, the version and the random bytes.
  let at = 5 + 4 + 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello.readUInt8(at);
  const end = at + 2 + hello.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + hello.readUInt16BE(at + 2)) {
    if (hello.readUInt16BE(at) === preSharedKey) return true;
  }
  return false;
}
