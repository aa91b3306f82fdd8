import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildFunctions } from '../../infra/build';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { openChannel, queueNames } from '../helpers/amqp';
import { type FunctionProcess, functionProcess } from '../helpers/function-process';
import { root } from '../helpers/stack';
import { noTables } from '../helpers/table-api';
import { startWire, type Wire } from '../helpers/wire';
import { startWiretap, type Wiretap } from '../helpers/wiretap';

/** How the bundled function takes its leave of the broker, in a process of its own. */
describe('on SIGTERM', () => {
  const { apiQueue, env } = queueNames();
  let broker: Broker;
  let tap: Wiretap;
  let wire: Wire;
  let folder: string;
  let send: FunctionProcess | undefined;

  beforeAll(async () => {
    await buildFunctions(root);
    folder = await mkdtemp(join(tmpdir(), 'ws-gateway-sigterm-'));
  }, 60_000);
  beforeEach(async () => {
    broker = await startBroker({ port: 0 });
    const { channel, close } = await openChannel(broker.url);
    await channel.assertQueue(apiQueue, { durable: true });
    await close();
    tap = await startWiretap(broker.url);
    wire = await startWire(tap.url);
  });
  afterEach(async () => {
    await send?.kill();
    await wire.close();
    await tap.close();
    await broker.close();
  });
  afterAll(() => rm(folder, { recursive: true }));

  const start = (more: Record<string, string> = {}): FunctionProcess => {
    send = functionProcess('send', { env: { ...env, ...noTables, AMQP_URL: wire.url, ...more } });
    return send;
  };
  const frame = (prompt: string) => ({
    requestContext: { connectionId: 'c', eventType: 'MESSAGE', connectedAt: Date.now() },
    body: JSON.stringify({ action: 'send', data: { prompt } }),
  });
  const answerOf = (response: unknown) => JSON.parse((response as { body: string }).body).event;

  test('confirms what is under way, says goodbye to the broker, and ends as any process does', async () => {
    const { invoke, terminate } = start();
    await invoke(frame('first'));
    wire.disturb({ answers: 'hold' });
    const underWay = invoke(frame('second'));
    await wire.carried('second');
    const ended = terminate();
    wire.calm();
    expect(answerOf(await underWay)).toBe('ack');
    expect(await ended).toBe('SIGTERM');
    await tap.until(([said]) => said?.end === 'goodbye');
    expect(tap.connections).toHaveLength(1);
  });

  test('leaves the end of the process to whoever listens as well', async () => {
    const listener = join(folder, 'listener.cjs');
    // Its exit code is how often it was asked to end.
    const source = `let asked = 0; process.on('SIGTERM', () => { asked += 1; setTimeout(() => process.exit(asked), 500); });`;
    await writeFile(listener, source);
    const { invoke, terminate } = start({ NODE_OPTIONS: `--require ${listener}` });
    await invoke(frame('first'));
    expect(await terminate()).toBe(1);
    expect(tap.connections.map(({ end }) => end)).toEqual(['goodbye']);
  });

  test('does nothing under serverless-offline, which has signals of its own', async () => {
    const { invoke, terminate } = start({ IS_OFFLINE: 'true' });
    await invoke(frame('first'));
    expect(await terminate()).toBe('SIGTERM');
    expect(tap.connections.map(({ end }) => end)).toEqual(['none']);
  });
});
