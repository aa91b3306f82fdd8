import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { GetMessage } from 'amqplib';
import { openChannel, queueNames } from '../helpers/amqp';
import { Client } from '../helpers/client';
import { type Stack, startStack } from '../helpers/stack';

/** The ends that API Gateway puts to connections, which the local stack puts to them too, and here sooner. */

describe('a connection to the local stack', () => {
  const queues = queueNames();
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ ...queues.env, EXAMPLE_WORKER: 'false', CONNECTION_SECONDS: '4', IDLE_SECONDS: '1' });
  }, 90_000);
  afterAll(() => stack?.stop(), 30_000);

  /** Opens a client; `end` resolves with what it is told, and how long after it began to connect, once it is closed. */
  async function open() {
    const begunAt = Date.now();
    const client = await Client.open(stack.webSocketUrl);
    const end = once(client.socket, 'close').then(([code, reason]) => ({
      told: [code, String(reason)],
      ms: Date.now() - begunAt,
    }));
    return { client, end };
  }

  test('ends after its time, however busy it is', async () => {
    const { client, end } = await open();
    const pinging = setInterval(() => client.send({ action: 'ping' }), 200);
    const { told, ms } = await end;
    clearInterval(pinging);
    expect(told).toEqual([1001, 'Going away']);
    expect(ms).toBeGreaterThan(3990);
    expect(client.frames.length).toBeGreaterThan(5);
  });

  test('ends sooner where nothing is said on it', async () => {
    const { told, ms } = await (await open()).end;
    expect(told).toEqual([1001, 'Going away']);
    expect(ms).toBeGreaterThan(990);
    expect(ms).toBeLessThan(3990);
  });

  test('is not idle where the gateway alone speaks', async () => {
    const { client, end } = await open();
    client.send({ action: 'send', data: {} });
    await client.next();
    const service = await openChannel(stack.amqpUrl);
    const message = (await service.channel.get(queues.apiQueue, { noAck: true })) as GetMessage;
    await service.close();
    const { socket_id: id } = JSON.parse(String(message.content)).data.metadata;
    const url = `${stack.managementUrl}/@connections/${id}`;
    const posting = setInterval(() => fetch(url, { method: 'POST', body: '{}' }).catch(() => undefined), 200);
    const { ms } = await end;
    clearInterval(posting);
    expect(ms).toBeGreaterThan(3990);
  });
});
