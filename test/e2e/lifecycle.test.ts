import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rename, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { queueNames } from '../helpers/amqp';
import { Client } from '../helpers/client';
import { freePorts } from '../helpers/ports';
import { copyProject } from '../helpers/project-copy';
import { root, type Stack, startStack } from '../helpers/stack';

/** What a person at the terminal sees of the local stack: start, typing, saving, Ctrl-C, and taken ports. */

async function occupy(): Promise<{ port: number; release(): Promise<void> }> {
  const [port] = (await freePorts(1)) as [number];
  const server = net.createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port, release: () => new Promise((resolve) => server.close(() => resolve())) };
}

async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer();
  server.listen(port, '127.0.0.1');
  const free = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  server.close();
  return free;
}

/** Types a line into wscat, and gives what it printed until the expected text came. */
async function typeIntoWscat(url: string, line: string, expected: string): Promise<string> {
  const child = spawn(process.execPath, [join(root, 'node_modules/wscat/bin/wscat'), '-c', url]);
  // On a pipe wscat does not say when it is connected, and drops what is typed before.
  const pinging = setInterval(() => child.stdin.write('{"action":"ping"}\n'), 100);
  let output = '';
  try {
    for await (const chunk of child.stdout) {
      output += chunk;
      if (pinging.hasRef() && output.includes('pong')) {
        clearInterval(pinging.unref());
        child.stdin.write(`${line}\n`);
      }
      if (output.includes(expected)) break;
    }
    return output;
  } finally {
    clearInterval(pinging);
    child.kill();
  }
}

describe('the local stack', () => {
  let stack: Stack;
  let copy: Awaited<ReturnType<typeof copyProject>>;

  beforeAll(async () => {
    copy = await copyProject();
    stack = await startStack(queueNames().env, copy.folder);
  }, 90_000);

  afterAll(async () => {
    await stack?.stop();
    await copy?.remove();
  }, 30_000);

  test('prints its URLs and the line to type', () => {
    expect(stack.output()).toContain(`Page        ${stack.pageUrl}`);
    expect(stack.output()).toContain(`WebSocket   ${stack.webSocketUrl}`);
    expect(stack.output()).toContain(`RabbitMQ    ${stack.amqpUrl} (embedded, in memory)`);
    expect(stack.output()).toContain(`npx wscat -c ${stack.webSocketUrl}`);
  });

  test('answers what is typed into wscat', async () => {
    const line = '{"action":"send","id":"1","data":{"prompt":"hello"}}';
    const output = await typeIntoWscat(stack.webSocketUrl, line, '"event":"recv"');
    expect(output).toMatch(/\{"event":"ack","id":"1","messageId":"[-0-9a-f]{36}"\}/);
    expect(output).toMatch(/\{"event":"recv","id":"1",.*"prompt":"hello"/);
  });

  test('runs the functions and takes posts itself, which cost serverless-offline more than all the rest', async () => {
    const client = await Client.open(stack.webSocketUrl);
    client.send({ action: 'ping' });
    expect(await client.next()).toEqual({ event: 'pong' });
    await client.close();
    // What serverless-offline prints for each event that it runs, and says with each answer of its own.
    expect(stack.output()).not.toContain('RequestId:');
    const answer = await fetch(`${stack.managementUrl}/@connections/nobody`, { method: 'POST', body: '{}' });
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([410, null]);
  });

  test('leaves to serverless-offline what is no post of a frame', async () => {
    const at = (method: string, body?: string) =>
      fetch(`${stack.managementUrl}/@connections/nobody`, { method, ...(body === undefined ? {} : { body }) });
    const statuses = [await at('GET'), await at('DELETE'), await at('POST', 'x'.repeat(1024 * 1024 + 1))];
    expect(statuses.map(({ status }) => status)).toEqual([426, 410, 413]);
  });

  test('reloads a function on save, and keeps its connections', async () => {
    const client = await Client.open(stack.webSocketUrl);
    const file = join(copy.folder, 'functions/default.ts');
    const source = await readFile(file, 'utf8');
    client.send({ action: 'ping', id: 'mine' });
    expect(await client.next()).toEqual({ event: 'pong', id: 'mine' });
    // In place, and as editors and git do it: by renaming another file to it, more than once.
    for (const [n, save] of [writeFile, replaceFile, replaceFile, writeFile].entries()) {
      await save(file, source.replace('pongFrame(id)', `pongFrame('reload ${n}')`));
      for (let id = ''; id !== `reload ${n}`; { id } = await client.next()) {
        client.send({ action: 'ping', id: 'mine' });
        await sleep(20);
      }
    }
    await client.close();
  });

  test('goes on with what it has when a source does not compile', async () => {
    const file = join(copy.folder, 'functions/default.ts');
    const source = await readFile(file, 'utf8');
    const client = await Client.open(stack.webSocketUrl);
    const complaint = stack.prints('Unexpected "}"');
    await writeFile(file, `${source}\n}`);
    await complaint;
    client.send({ action: 'ping' });
    expect(await client.next()).toMatchObject({ event: 'pong' });
    await writeFile(file, source);
    await client.close();
  });

  test('ends on Ctrl-C with exit code 0 and leaves no port behind, even with a client connected', async () => {
    const client = await Client.open(stack.webSocketUrl);
    expect(await stack.stop()).toBe(0);
    await client.closed;
    for (const port of stack.ports) expect(await isFree(port)).toBe(true);
  }, 30_000);
});

describe('a taken port', () => {
  test('of the broker makes it take another and say so', async () => {
    const { port, release } = await occupy();
    const stack = await startStack({ ...queueNames().env, BROKER_PORT: String(port) });
    expect(stack.output()).toContain(`Port ${port} is taken: the embedded broker listens on`);
    await stack.stop();
    await release();
  }, 90_000);

  test('of the WebSocket is an error that says what to do', async () => {
    const { port, release } = await occupy();
    await expect(startStack({ WEBSOCKET_PORT: String(port) })).rejects.toThrow(
      new RegExp(`ended with 1:[^]*Port ${port} is in use[^]*WEBSOCKET_PORT=`),
    );
    await release();
  }, 90_000);

  test('of the page makes it take another, which the banner names', async () => {
    const { port, release } = await occupy();
    const stack = await startStack({ ...queueNames().env, PAGE_PORT: String(port) });
    const [, pageUrl = ''] = /Page +(\S+)/.exec(stack.output()) ?? [];
    expect(pageUrl).not.toContain(`:${port}`);
    expect((await fetch(pageUrl)).status).toBe(200);
    await stack.stop();
    await release();
  }, 90_000);
});
