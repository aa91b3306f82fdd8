import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from 'amqplib';
import fc from 'fast-check';
import { body, header, method } from '../helpers/amqp-frames';
import { type Attack, attack, inTime } from './fuzz/attack';
import { EXCLUSIVE_QUEUES, LOGIN } from './fuzz/frames';
import type { HostRequest, HostState } from './fuzz/host';
import { ATTACKS } from './fuzz/sessions';

/**
 * Whatever bytes a client sends and however it leaves, the broker goes on for all others and keeps nothing of it.
 * FUZZ_SEED repeats a run, FUZZ_TIMES makes it longer.
 */

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const TIMES = Number(process.env.FUZZ_TIMES ?? 1);
const AT_ONCE = 50;
const BATCHES = { noise: 24, conversations: 38, mutations: 40 } as const;

const MEMORY_HIGH_WATER_BYTES = 32 * 1024 * 1024;
// What a client may have got in above it: what was read of its socket at once.
const MAX_OVERSHOOT_BYTES = 1024 * 1024;
// What waits for one client that does not read, with room for what the broker works on.
const MAX_HELD_BYTES = 32 * 1024 * 1024;

let host: ChildProcess;
let port = 0;
let connections = 0;

beforeAll(async () => {
  process.stdout.write(`FUZZ_SEED=${SEED}\n`);
  host = fork(resolve(__dirname, 'fuzz/host.ts'), [String(MEMORY_HIGH_WATER_BYTES)], {
    execArgv: ['--import', 'tsx', '--expose-gc'],
  });
  [port] = (await once(host, 'message')) as [number];
});

afterAll(async () => {
  if (!host.connected) return;
  const exited = once(host, 'exit');
  host.disconnect();
  await exited;
});

async function ask(request: HostRequest): Promise<HostState> {
  const answered = once(host, 'message');
  host.send(request);
  const [state] = (await answered) as [HostState];
  return state;
}

/** Many clients at once; those that stay are let go when a healthy client was served beside them. */
async function attacked(clients: readonly Attack[]): Promise<void> {
  const stay = clients.filter(({ leaves, reads }) => leaves === 'stays' || !reads);
  const go = clients.filter((client) => !stay.includes(client));
  const release = gate();
  const staying = stay.map((client) => attack(port, client, release.opened));
  try {
    await Promise.all(go.map((client) => attack(port, client, release.opened)));
    await inTime(expectHealthy(), 'the broker does not serve a healthy client');
  } finally {
    release.open();
  }
  await Promise.all(staying);
  connections += clients.length;
  expect(await abandoned()).toMatchObject({ escaped: [], sockets: 0 });
}

function gate(): { opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

async function expectHealthy(): Promise<void> {
  const connection = await connect(`amqp://127.0.0.1:${port}`, { noDelay: true });
  connection.on('error', () => undefined);
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('alive'));
  await channel.waitForConfirms();
  const message = await channel.get(queue, { noAck: true });
  expect(message ? message.content.toString() : undefined).toBe('alive');
  await connection.close();
}

/** One that does not publish, and so goes on while memory is short. */
async function expectServed(): Promise<void> {
  const connection = await connect(`amqp://127.0.0.1:${port}`, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.assertQueue('', { exclusive: true });
  await connection.close();
}

/** Its state once the broker has seen that all clients are gone, which it must in time. */
async function abandoned(): Promise<HostState> {
  const deadline = performance.now() + 10_000;
  for (;;) {
    const state = await ask('state');
    if (state.sockets === 0 || performance.now() > deadline) return state;
    await turn();
  }
}

describe('the embedded broker survives', () => {
  test.each(Object.entries(ATTACKS))(
    '%s',
    async (kind, attacks) => {
      await fc.assert(fc.asyncProperty(fc.array(attacks, { minLength: AT_ONCE, maxLength: AT_ONCE }), attacked), {
        seed: SEED,
        numRuns: BATCHES[kind as keyof typeof ATTACKS] * TIMES,
        endOnFailure: true,
        // What escaped says more than the bytes of all clients, which the seed brings back.
        reporter: ({ failed, errorInstance }) => {
          if (failed) throw errorInstance;
        },
      });
    },
    300_000 * TIMES,
  );

  test('clients that ask for far more than they read, and holds little for them', async () => {
    const part = Buffer.alloc(8_000);
    const parts = 125;
    const greedy = Buffer.concat([
      ...LOGIN,
      method(1, 'queue.declare', { exclusive: true }),
      method(1, 'queue.bind', { exchange: 'amq.fanout' }),
      method(1, 'basic.publish', { exchange: 'amq.fanout' }),
      header(1, parts * part.length),
      ...Array(parts).fill(body(1, part)),
      // A megabyte each time.
      ...Array(100)
        .fill([method(1, 'basic.get'), method(1, 'basic.recover', { requeue: true })])
        .flat(),
    ]);
    const release = gate();
    const clients = Array.from({ length: 4 }, () =>
      attack(port, { bytes: greedy, dribbleBytes: undefined, reads: false, leaves: 'stays' }, release.opened),
    );
    for (let round = 0; round < 10; round += 1) {
      await expectHealthy();
      expect((await ask('collect')).bufferBytes).toBeLessThan(clients.length * MAX_HELD_BYTES);
    }
    release.open();
    await Promise.all(clients);
    expect(await abandoned()).toMatchObject({ escaped: [], sockets: 0 });
    // Buffers go after the collection that finds them.
    await ask('collect');
    await expectHealthy();
    expect((await ask('collect')).bufferBytes).toBeLessThan(MAX_HELD_BYTES);
  });

  test('clients that publish more than it may hold, whom it lets wait', async () => {
    const { heldBytes: before } = await ask('state');
    const release = gate();
    const part = Buffer.alloc(8_000);
    const flood = (queue: string): Attack => {
      const message = [
        method(1, 'basic.publish', { routingKey: queue }),
        header(1, 8 * part.length),
        ...Array(8).fill(body(1, part)),
      ];
      const declare = method(1, 'queue.declare', { queue, exclusive: true });
      const bytes = Buffer.concat([...LOGIN, declare, ...Array(150).fill(message).flat()]);
      return { bytes, dribbleBytes: undefined, reads: false, leaves: 'stays' };
    };
    const clients = Array.from({ length: 8 }, (_, index) => attack(port, flood(`fuzz.flood.${index}`), release.opened));
    const bound = MEMORY_HIGH_WATER_BYTES + clients.length * MAX_OVERSHOOT_BYTES;
    let most = 0;
    // Each answer comes after a turn of the broker's; once the alarm is up, nothing more comes in.
    while (most < MEMORY_HIGH_WATER_BYTES) most = Math.max(most, (await ask('state')).heldBytes);
    for (let round = 0; round < 20; round += 1) {
      await expectServed();
      most = Math.max(most, (await ask('state')).heldBytes);
    }
    expect(most).toBeLessThan(bound);
    release.open();
    await Promise.all(clients);
    expect(await abandoned()).toMatchObject({ escaped: [], sockets: 0 });
    expect((await ask('state')).heldBytes).toBeLessThanOrEqual(before);
    await expectHealthy();
  });

  test('more than 5,000 of them, and keeps no queue, timer, socket or byte of theirs', async () => {
    expect(connections).toBeGreaterThanOrEqual(5_000);
    const connection = await connect(`amqp://127.0.0.1:${port}`, { noDelay: true });
    for (const queue of EXCLUSIVE_QUEUES) {
      const channel = await connection.createChannel();
      channel.on('error', () => undefined);
      await channel.deleteQueue(queue);
    }
    await connection.close();
    await abandoned();
    expect(await ask('close')).toMatchObject({ escaped: [], sockets: 0, timers: 0, heldBytes: 0 });
  });
});
