import { afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { buildFunctions } from '../../infra/build';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { openChannel, queueNames } from '../helpers/amqp';
import { type FunctionProcess, functionProcess } from '../helpers/function-process';
import { root } from '../helpers/stack';
import { noTables } from '../helpers/table-api';
import { startWire, type Wire } from '../helpers/wire';
import { startWiretap, type Wiretap } from '../helpers/wiretap';

/** What the bundled function does before it is given a message, in a process of its own. */
describe('send, as it is started,', () => {
  const { apiQueue, env } = queueNames();
  let broker: Broker;
  let tap: Wiretap;
  let wire: Wire;
  let send: FunctionProcess;

  beforeAll(() => buildFunctions(root), 60_000);
  beforeEach(async () => {
    broker = await startBroker({ port: 0 });
    const { channel, close } = await openChannel(broker.url);
    await channel.assertQueue(apiQueue, { durable: true });
    await close();
    tap = await startWiretap(broker.url);
    wire = await startWire(tap.url);
  });
  afterEach(async () => {
    await send.kill();
    await wire.close();
    await tap.close();
    await broker.close();
  });

  const start = (more: Record<string, string> = {}): FunctionProcess => {
    send = functionProcess('send', { env: { ...env, ...noTables, AMQP_URL: wire.url, ...more }, timeoutMs: 3000 });
    return send;
  };
  const answerTo = async (body: string): Promise<Record<string, unknown>> => {
    const requestContext = { connectionId: 'c', eventType: 'MESSAGE', connectedAt: Date.now() };
    const response = (await send.invoke({ requestContext, body })) as { body: string };
    return JSON.parse(response.body);
  };

  test('connects to the broker, and sends the first message over that connection', async () => {
    await start().warmUp();
    await tap.until(([said]) => said?.channels === 1);
    expect(await answerTo('{"action":"send","data":{}}')).toMatchObject({ event: 'ack' });
    expect(tap.connections).toMatchObject([{ channels: 1, publishFrames: 3, confirms: 1 }]);
  });

  test('goes on where there is no broker, and connects for a message', async () => {
    wire.refuse(true);
    await start().warmUp();
    expect(await answerTo('{"action":"send","data":{}}')).toMatchObject({ event: 'error', code: 'unavailable' });
    wire.refuse(false);
    expect(await answerTo('{"action":"send","data":{}}')).toMatchObject({ event: 'ack' });
    expect(send.starts).toBe(1);
  });

  test('waits for a message under serverless-offline, which loads functions again and again', async () => {
    await start({ IS_OFFLINE: 'true' }).warmUp();
    expect(await answerTo('{"action":"send"}')).toMatchObject({ event: 'error', code: 'invalid_message' });
    expect(wire.connections).toBe(0);
  });
});
