import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import { topology } from '../../infra/topology';
import { deleteQueues, openChannel, queueNames, type TestChannel } from '../helpers/amqp';
import { Client } from '../helpers/client';
import { type Stack, startStack } from '../helpers/stack';

/**
 * The running stack with four queues of replies.
 * @param env of the stack: with AMQP_URL on that broker, else on the embedded one.
 */
export function describeShards(name: string, env: Record<string, string>): void {
  describe(`the gateway with four queues of replies on ${name}`, () => {
    const names = queueNames();
    const { apiQueue, wsQueue } = names;
    const shards = [wsQueue, `${wsQueue}.1`, `${wsQueue}.2`, `${wsQueue}.3`];
    const sends = 3;
    const repliesEach = 3;
    const clients: Client[] = [];
    let stack: Stack;
    let service: TestChannel | undefined;

    beforeAll(async () => {
      stack = await startStack({ ...env, ...names.env, REPLY_SHARDS: '4', EXAMPLE_WORKER: 'false' });
    }, 90_000);
    afterEach(async () => {
      await service?.close();
      await Promise.all(clients.splice(0).map((client) => client.close()));
    });
    afterAll(async () => {
      const all = topology({ apiQueue, wsQueue, replyShards: 4 });
      if (env.AMQP_URL) await deleteQueues(env.AMQP_URL, ...all.map((queue) => queue.name));
      await stack?.stop();
    }, 30_000);

    /** A service that answers each request several times; tells where it answered to. */
    async function startService(queueFor: (request: ConsumeMessage) => string): Promise<string[]> {
      const answeredTo: string[] = [];
      service = await openChannel(stack.amqpUrl);
      const { channel } = service;
      await channel.prefetch(20);
      await channel.consume(apiQueue, (request) => {
        if (request === null) return;
        const { prompt, metadata } = JSON.parse(String(request.content)).data;
        const queue = queueFor(request);
        answeredTo.push(queue);
        for (let part = 0; part < repliesEach; part += 1) {
          const event = { pattern: { cmd: 'part' }, data: { prompt, part, metadata } };
          channel.sendToQueue(queue, Buffer.from(JSON.stringify(event)), {
            messageId: `${metadata.message_id}/${part}`,
          });
        }
        channel.ack(request);
      });
      return answeredTo;
    }

    /** Each client sends one message after the other, and gets all replies to it, and to it alone, in their order. */
    async function converse(): Promise<void> {
      clients.push(...(await Promise.all(Array.from({ length: 50 }, () => Client.open(stack.webSocketUrl)))));
      await Promise.all(
        clients.map(async (client, n) => {
          for (let m = 0; m < sends; m += 1) {
            client.send({ action: 'send', id: `${m}`, data: { prompt: `${n}/${m}` } });
            await client.find((f) => f.event === 'ack' && f.id === `${m}`, 20_000);
          }
          await client.find((f) => f.data?.prompt === `${n}/${sends - 1}` && f.data.part === repliesEach - 1, 20_000);
        }),
      );
      const expected = (n: number) =>
        Array.from({ length: sends * repliesEach }, (_, at) => ({
          prompt: `${n}/${Math.floor(at / repliesEach)}`,
          part: at % repliesEach,
        }));
      for (const [n, { frames }] of clients.entries()) {
        // A copy, which a client tells by its id, may come where a post was answered too late on a busy machine.
        const parts = new Map(frames.filter(({ event }) => event === 'part').map((f) => [f.messageId, f.data]));
        expect([...parts.values()]).toEqual(expected(n));
        expect(frames.filter(({ event }) => event === 'error')).toEqual([]);
      }
    }

    test('declares them, consumes them all, and says so', () => {
      for (const queue of [apiQueue, `${wsQueue}.dead`, wsQueue, `${wsQueue}.1`, `${wsQueue}.3`]) {
        expect(stack.output()).toContain(queue);
      }
    });

    test('takes replies by all of them, to each client in their order', async () => {
      const answeredTo = await startService(({ properties }) => properties.replyTo);
      await converse();
      expect([...new Set(answeredTo)].sort()).toEqual(shards);
    });

    test('takes replies of a service that knows one queue alone', async () => {
      const answeredTo = await startService(() => wsQueue);
      await converse();
      expect(answeredTo).toHaveLength(50 * sends);
    });

    test('dead-letters to one queue what cannot be delivered, and tells the queue that it came by', async () => {
      service = await openChannel(stack.amqpUrl);
      const { channel } = service;
      const letters: unknown[] = [];
      await new Promise<void>((resolve) => {
        void channel.consume(`${wsQueue}.dead`, (letter) => {
          letters.push(letter?.properties.headers?.['x-original-queue']);
          if (letters.length === shards.length) resolve();
        });
        for (const queue of shards) channel.sendToQueue(queue, Buffer.from('for nobody'));
      });
      expect(letters.sort()).toEqual(shards);
      await channel.purgeQueue(`${wsQueue}.dead`);
    });
  });
}
