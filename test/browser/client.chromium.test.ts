import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import { buildClient } from '../../infra/client';
import type * as library from '../../lib/client';
import { openBrowser } from '../helpers/chromium';
import { admit, readmit, reply } from '../helpers/client-library';
import { ScriptedGateway } from '../helpers/scripted-gateway';
import { root } from '../helpers/stack';

/** The client library as it is installed, in a browser. */

/** What the page has: the library, and what its listeners were given. */
interface InPage {
  connect(url: string, options: object): void;
  gateway: library.Gateway;
  told: { [E in keyof library.Events]: library.Events[E][] };
}

const html = `<!doctype html><title>client</title><script type="module">
  import { connect } from './index.js';
  window.connect = (url, options) => {
    window.gateway = connect(url, { storage: sessionStorage, ...options });
    window.told = { recv: [], state: [], session: [], error: [] };
    for (const event in told) gateway.on(event, (value) => told[event].push(value));
  };
  document.title = 'ready';
</script>`;

let folder: string;
let web: Server;
let browser: Browser;
let page: Page;
let server: ScriptedGateway;
let complaints: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-'));
  await buildClient(root, folder);
  const script = await readFile(join(folder, 'index.js'));
  web = createServer(({ url }, response) => {
    const isScript = url === '/index.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    response.end(isScript ? script : html);
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  browser = await openBrowser();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  web?.close();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  server = await ScriptedGateway.start();
  complaints = [];
  page = await browser.newPage();
  page.on('pageerror', ({ message }) => complaints.push(message));
  await load();
}, 30_000);
afterEach(async () => {
  await page.context().close();
  await server.stop();
  expect(complaints).toEqual([]);
});

async function load(): Promise<void> {
  await page.goto(`http://127.0.0.1:${(web.address() as AddressInfo).port}/`);
  await page.waitForFunction("document.title === 'ready'");
}

/** @param options functions cannot be given. */
async function connect(options: object = {}): Promise<void> {
  await page.evaluate(([url, options]) => (globalThis as unknown as InPage).connect(url, options), [
    server.url,
    options,
  ] as const);
}

/** Waits until the page was told this many replies. @returns their data. */
async function replies(count: number): Promise<unknown[]> {
  await page.waitForFunction((count) => (globalThis as unknown as InPage).told.recv.length >= count, count);
  return page.evaluate(() => (globalThis as unknown as InPage).told.recv.map(({ data }) => data));
}

/** Of the page's gateway, as soon as it is this. */
const hasState = (state: string) =>
  page.waitForFunction((state) => (globalThis as unknown as InPage).gateway.state === state, state);

describe('in a browser', () => {
  test('it connects with its token, sends, and is acknowledged and answered', async () => {
    await connect({ token: 'a.b.c' });
    const connection = await server.connection();
    expect(connection.offered).toEqual(['gateway.v1', 'bearer.a.b.c']);
    const ack = page.evaluate(() => (globalThis as unknown as InPage).gateway.send({ prompt: 'hello' }, { id: '1' }));
    expect(await connection.acks()).toEqual({ action: 'send', id: '1', data: { prompt: 'hello' } });
    expect(await ack).toEqual({ id: '1', messageId: 'm-1' });
    connection.say({ event: 'recv', id: '1', data: 42 });
    expect(await replies(1)).toEqual([42]);
  });

  test('it resumes after a cut, and repeats its send', async () => {
    await connect({ session: 'auto' });
    const first = await admit(server);
    first.say(reply(1));
    await replies(1);
    const ack = page.evaluate(() => (globalThis as unknown as InPage).gateway.send({}, { id: '1' }));
    await first.hears('send');
    first.cut();
    const second = await readmit(server, 3);
    for (const seq of [2, 3, 3]) second.say(reply(seq));
    await second.acks({ duplicate: true });
    expect(await ack).toEqual({ id: '1', messageId: 'm-1', duplicate: true });
    expect(await replies(3)).toEqual([{ seq: 1 }, { seq: 2 }, { seq: 3 }]);
  });

  test('it resumes after a reload, from its sessionStorage', async () => {
    await connect({ session: 'auto' });
    const first = await admit(server);
    first.say(reply(1));
    await replies(1);
    await load();
    await connect({ session: 'auto' });
    const second = await server.connection();
    expect(await second.hears('session')).toMatchObject({
      session: 'session_A',
      token: 'secret of session_A',
      after: 1,
    });
  });

  test('it replaces an old connection, and streams replies over both', async () => {
    await connect({ session: 'auto', rotateMs: 300 });
    const first = await admit(server);
    const texts = page.evaluate(async () => {
      const { gateway } = globalThis as unknown as InPage;
      const answers = gateway.replies('1');
      gateway.send({}, { id: '1' });
      const texts: unknown[] = [];
      for await (const { event, data } of answers) {
        if (event === 'done') return texts;
        texts.push(data);
      }
    });
    await first.acks();
    first.say(reply(1, { id: '1' }));
    const second = await readmit(server, 1);
    await first.closed;
    second.say(reply(2, { id: '1' }));
    second.say(reply(3, { id: '1', event: 'done' }));
    expect(await texts).toEqual([{ seq: 1 }, { seq: 2 }]);
  });

  test('it connects at once when the network is back', async () => {
    await page.context().setOffline(true);
    await connect();
    await hasState('waiting');
    // Not by the end of its pause.
    await page.evaluate(() => {
      for (let timer = 1; timer < 1000; timer += 1) clearTimeout(timer);
    });
    await hasState('waiting');
    await page.context().setOffline(false);
    await server.connection();
    await hasState('open');
  });

  test('it tells a refused connection, without a reason, and goes on trying', async () => {
    server.answers.push(401);
    await connect();
    await hasState('open');
    const codes = await page.evaluate(() => (globalThis as unknown as InPage).told.error.map(({ code }) => code));
    expect(codes).toEqual(['connect_failed']);
  });

  test('it shows what a listener throws where uncaught errors are shown', async () => {
    await connect();
    await page.evaluate(() => {
      (globalThis as unknown as InPage).gateway.on('recv', () => {
        throw new Error('a bug');
      });
    });
    (await server.connection()).say({ event: 'recv', data: 1 });
    await replies(1);
    await page.waitForFunction(() => (globalThis as unknown as InPage).told.error.length === 1);
    expect(complaints.splice(0)).toEqual(['a bug']);
  });
});
