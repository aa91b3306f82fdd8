import { once } from 'node:events';
import { type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { servePage } from '../../infra/local/web';
import { closeServer } from '../helpers/http-server';
import { root } from '../helpers/stack';

/** What serves the page: to a browser on this machine, and to nobody else's. */

describe('the page', () => {
  let server: Server;
  let port: number;

  beforeAll(async () => {
    const status = async () => ({ queues: [], deadLetters: { queue: 'ws_queue.dead', letters: [] } });
    const webSocketUrl = 'ws://localhost:3001';
    const where = { host: '127.0.0.1', port: 0, portsOfOthers: [] };
    server = await servePage({ ...where, root, webSocketUrl, asksForTokens: true, status });
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => closeServer(server));

  async function ask(path: string, options: { method?: string; host?: string } = {}) {
    const { method = 'GET', host = `localhost:${port}` } = options;
    const asked = request({ host: '127.0.0.1', port, path, method, headers: { host } }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    return { status: response.statusCode, headers: response.headers, body: await text(response) };
  }

  test.each([
    ['/', 'text/html; charset=utf-8', '<title>ws-gateway</title>'],
    ['/?from=elsewhere', 'text/html; charset=utf-8', '<title>ws-gateway</title>'],
    ['/page.css', 'text/css; charset=utf-8', 'prefers-color-scheme'],
    ['/page.js', 'text/javascript; charset=utf-8', 'ws://localhost:3001'],
    ['/icon.svg', 'image/svg+xml', '<svg'],
    ['/status.json', 'application/json', '"queue":"ws_queue.dead"'],
  ])('%s is %s', async (path, type, part) => {
    const { status, headers, body } = await ask(path);
    expect([status, headers['content-type']]).toEqual([200, type]);
    expect(body).toContain(part);
  });

  test('takes nothing from elsewhere but the WebSocket, and no other page may frame or read it', async () => {
    for (const path of ['/', '/page.js', '/status.json', '/nothing']) {
      const { headers } = await ask(path);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
        'cache-control': 'no-store',
      });
      const policy = headers['content-security-policy'];
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).toContain("connect-src 'self' ws://localhost:3001;");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    }
  });

  test.each(['evil.example', 'evil.example:3000', 'localhost.evil.example', '127.0.0.1.nip.io'])(
    'is not for a site by the name "%s" that points here',
    async (host) => {
      for (const path of ['/', '/status.json']) {
        const { status, body } = await ask(path, { host });
        expect([status, body]).toEqual([421, 'This page has another name.\n']);
      }
    },
  );

  test.each(['localhost', '127.0.0.1:3000', '[::1]:3000'])('is for a browser on this machine, at %s', async (host) => {
    expect(await ask('/status.json', { host })).toMatchObject({ status: 200 });
  });

  test('can only be read', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      expect(await ask('/', { method })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    }
    const { status, headers, body } = await ask('/page.css', { method: 'HEAD' });
    expect([status, body]).toEqual([200, '']);
    expect(Number(headers['content-length'])).toBeGreaterThan(1000);
  });

  test.each(['/page.ts', '/../web.ts', '/%2e%2e/web.ts', '//etc/passwd', '/constructor'])('has no %s', async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404 });
  });
});
