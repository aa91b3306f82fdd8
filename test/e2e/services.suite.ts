import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startMapping } from '../../infra/local/event-source/mapping';
import { deleteQueues, queueNames, startRpcWorker } from '../helpers/amqp';
import { Client } from '../helpers/client';
import { functionProcess } from '../helpers/function-process';
import { type NestService, startNestService } from '../helpers/nest';
import { freePorts } from '../helpers/ports';
import { type Stack, startStack } from '../helpers/stack';

/**
 * Services of others behind the gateway, as they are: NestJS in both styles, an RPC worker, several consumers.
 * @param env of the stacks: with AMQP_URL on that broker, else each on an embedded one.
 */
export function describeServices(name: string, env: Record<string, string>): void {
  /** A stack without the example worker, for the time of a block. */
  function useStack(more: Record<string, string> = {}) {
    const queues = queueNames();
    const used = {} as { stack: Stack; apiQueue: string; wsQueue: string };
    beforeAll(async () => {
      const stack = await startStack({ EXAMPLE_WORKER: 'false', ...env, ...queues.env, ...more });
      Object.assign(used, { stack, ...queues });
    }, 90_000);
    afterAll(async () => {
      await used.stack?.stop();
      if (env.AMQP_URL) await deleteQueues(env.AMQP_URL, queues.apiQueue, queues.wsQueue, `${queues.wsQueue}.dead`);
    }, 30_000);
    return used;
  }

  async function ask(url: string, prompt: string): Promise<Record<string, unknown>[]> {
    const client = await Client.open(url);
    client.send({ action: 'send', id: '1', data: { prompt } });
    const ack = await client.find((frame) => frame.event === 'ack');
    const answer = await client.find((frame) => frame.event !== 'ack', 20_000);
    await client.close();
    return [ack, answer];
  }

  describe(`a NestJS service on ${name}`, () => {
    describe.each(['event', 'rpc'] as const)('in %s style', (style) => {
      const used = useStack(style === 'rpc' ? { REQUEST_STYLE: 'rpc' } : {});
      let nest: NestService | undefined;
      const start = () =>
        startNestService({
          AMQP_URL: used.stack.amqpUrl,
          API_QUEUE: used.apiQueue,
          WS_QUEUE: used.wsQueue,
          STYLE: style,
        });
      afterAll(() => nest?.stop());

      test('that starts after the gateway answers what waited for it', async () => {
        const client = await Client.open(used.stack.webSocketUrl);
        client.send({ action: 'send', id: '1', data: { prompt: 'early' } });
        await client.find((frame) => frame.event === 'ack');
        nest = await start();
        await nest.listening;
        const reply = await client.find((frame) => frame.event === 'recv', 20_000);
        expect(reply).toMatchObject({ id: '1', data: { prompt: 'early', answeredBy: 'nest' } });
        expect(JSON.stringify(reply)).not.toContain('socket_id');
        await client.close();
      }, 60_000);

      test('answers, as it is', async () => {
        const [ack, reply] = await ask(used.stack.webSocketUrl, 'hello');
        expect(ack).toMatchObject({ event: 'ack', id: '1' });
        expect(reply).toEqual({ event: 'recv', id: '1', data: { prompt: 'hello', answeredBy: 'nest' } });
      }, 60_000);
    });

    test('may start before the gateway: neither hinders the other', async () => {
      const { apiQueue, wsQueue, env: queueEnv } = queueNames();
      const [brokerPort] = (await freePorts(1)) as [number];
      const url = env.AMQP_URL ?? `amqp://guest:guest@127.0.0.1:${brokerPort}`;
      const nest = await startNestService({
        AMQP_URL: url,
        API_QUEUE: apiQueue,
        WS_QUEUE: wsQueue,
        STYLE: 'event',
      });
      // Without a broker of its own the service waits for the one that the stack brings.
      if (env.AMQP_URL) await nest.listening;
      const more = { EXAMPLE_WORKER: 'false', BROKER_PORT: String(brokerPort) };
      const stack = await startStack({ ...env, ...queueEnv, ...more });
      await nest.listening;
      const [, reply] = await ask(stack.webSocketUrl, 'hello');
      expect(reply).toMatchObject({ event: 'recv', data: { answeredBy: 'nest' } });
      await nest.stop();
      await stack.stop();
      if (env.AMQP_URL) await deleteQueues(url, apiQueue, wsQueue, `${wsQueue}.dead`);
    }, 90_000);

    describe('in rpc style, when it throws', () => {
      const used = useStack({ REQUEST_STYLE: 'rpc' });
      let nest: NestService | undefined;
      afterAll(() => nest?.stop());

      test('answers with an error frame', async () => {
        const { apiQueue: API_QUEUE, wsQueue: WS_QUEUE } = used;
        nest = await startNestService({ AMQP_URL: used.stack.amqpUrl, API_QUEUE, WS_QUEUE, STYLE: 'rpc' });
        await nest.listening;
        const [, error] = await ask(used.stack.webSocketUrl, 'fail');
        expect(error).toMatchObject({ event: 'error', id: '1', code: 'internal', retryable: false });
      }, 60_000);
    });
  });

  describe(`an RPC worker on ${name}`, () => {
    const used = useStack();

    test('answers to replyTo with the correlationId it was given, in JSON or in text', async () => {
      const worker = await startRpcWorker(used.stack.amqpUrl, used.apiQueue, ({ data }) => ({
        body: data.prompt === 'text' ? 'plain text' : { total: 3 },
        options: { messageId: 'reply-1' },
      }));
      const [, reply] = await ask(used.stack.webSocketUrl, 'json');
      expect(reply).toEqual({ event: 'recv', id: '1', messageId: 'reply-1', data: { total: 3 } });
      const [, text] = await ask(used.stack.webSocketUrl, 'text');
      expect(text).toMatchObject({ event: 'recv', data: 'plain text' });
      await worker.close();
    });
  });

  describe(`two consumers on one reply queue on ${name}`, () => {
    const used = useStack();

    test('deliver every reply', async () => {
      const worker = await startRpcWorker(used.stack.amqpUrl, used.apiQueue, ({ data }) => ({ body: data }));
      const consumer = functionProcess('consumer', {
        env: {
          AMQP_URL: used.stack.amqpUrl,
          WS_QUEUE: used.wsQueue,
          MANAGEMENT_ENDPOINT: used.stack.managementUrl,
          TABLE_NAME: 'ConnectionTable',
          SESSION_TABLE_NAME: 'SessionTable',
        },
      });
      let batches = 0;
      const second = startMapping(
        {
          functionKey: 'consumer',
          queue: used.wsQueue,
          virtualHost: '/',
          batchSize: 5,
          windowMs: 0,
          eventSourceArn: 'arn',
        },
        {
          url: used.stack.amqpUrl,
          invoke: (_, event) => {
            batches += 1;
            return consumer.invoke(event);
          },
          report: () => undefined,
        },
      );
      const clients = await Promise.all(Array.from({ length: 10 }, () => Client.open(used.stack.webSocketUrl)));
      await Promise.all(
        clients.map(async (client, c) => {
          for (let n = 0; n < 30; n += 1) client.send({ action: 'send', id: `${n}`, data: { prompt: `${c}/${n}` } });
          for (let n = 0; n < 30; n += 1) {
            const reply = await client.find((f) => f.event === 'recv' && f.id === `${n}`, 30_000);
            expect(reply.data.prompt).toBe(`${c}/${n}`);
          }
        }),
      );
      expect(batches).toBeGreaterThan(0);
      await Promise.all(clients.map((client) => client.close()));
      await second.close();
      await consumer.kill();
      await worker.close();
    }, 60_000);
  });
}

/** Two gateways, each with a reply queue of its own, before one queue of requests and one worker. */
export function describeTwoStacks(name: string, broker: () => Promise<{ url: string; close(): Promise<void> }>): void {
  describe(`two stacks that share a request queue on ${name}`, () => {
    const first = queueNames();
    const second = { ...queueNames(), apiQueue: first.apiQueue };
    const stacks: Stack[] = [];
    let shared: Awaited<ReturnType<typeof broker>>;

    beforeAll(async () => {
      shared = await broker();
      for (const { apiQueue, wsQueue } of [first, second]) {
        const env = { AMQP_URL: shared.url, EXAMPLE_WORKER: 'false', API_QUEUE: apiQueue, WS_QUEUE: wsQueue };
        stacks.push(await startStack(env));
      }
    }, 120_000);

    afterAll(async () => {
      await Promise.all(stacks.map((stack) => stack.stop()));
      const ofStacks = [first, second].flatMap(({ wsQueue }) => [wsQueue, `${wsQueue}.dead`]);
      await deleteQueues(shared.url, first.apiQueue, ...ofStacks);
      await shared.close();
    }, 30_000);

    test('give each client its own replies', async () => {
      const worker = await startRpcWorker(shared.url, first.apiQueue, ({ data }) => ({
        body: { prompt: data.prompt },
      }));
      const clients = await Promise.all(stacks.map(({ webSocketUrl }) => Client.open(webSocketUrl)));
      await Promise.all(
        clients.map(async (client, c) => {
          for (let n = 0; n < 50; n += 1) client.send({ action: 'send', id: `${n}`, data: { prompt: `${c}/${n}` } });
          for (let n = 0; n < 50; n += 1) {
            const reply = await client.find((f) => f.event === 'recv' && f.id === `${n}`, 30_000);
            expect(reply.data).toEqual({ prompt: `${c}/${n}` });
          }
          expect(client.frames.filter((f) => f.event === 'recv')).toHaveLength(50);
        }),
      );
      await Promise.all(clients.map((client) => client.close()));
      await worker.close();
    }, 60_000);
  });
}
