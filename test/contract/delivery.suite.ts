import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ConsumeMessage, Options } from 'amqplib';
import { type RunningMapping, startMapping } from '../../infra/local/event-source/mapping';
import { topology } from '../../infra/topology';
import { amqpDeadLetters } from '../../lib/dead-letters';
import { type DeliveryPorts, deliver } from '../../lib/delivery';
import { noMetrics } from '../../lib/metrics';
import { deliveriesOf } from '../../lib/mq-event';
import { apiGatewayPost } from '../../lib/post';
import { AmqpPublisher } from '../../lib/publisher';
import { recentDeliveries } from '../../lib/recent';
import { deleteQueues, openChannel, queueNames, reader, type TestChannel } from '../helpers/amqp';
import { type ManagementApi, startManagementApi } from '../helpers/management-api';
import { silentLog } from '../helpers/silent-log';

/** What becomes of replies on their way from the queue to a client or to the dead letters, on any broker. */
export function describeDelivery(name: string, broker: () => Promise<{ url: string; close(): Promise<void> }>): void {
  describe(`delivery from ${name}`, () => {
    let url: string;
    let stopBroker: () => Promise<void>;
    let queues: ReturnType<typeof queueNames>;
    let deadQueue: string;
    let service: TestChannel;
    let api: ManagementApi;
    let publisher: AmqpPublisher;
    let mapping: RunningMapping | undefined;
    /** The sizes of the batches that the function was given, and how many of them it has thrown back. */
    let batches: number[];
    let thrown: number;

    beforeAll(async () => {
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
      ({ url, close: stopBroker } = await broker());
    });
    beforeEach(async () => {
      queues = queueNames();
      deadQueue = `${queues.wsQueue}.dead`;
      service = await openChannel(url);
      for (const queue of topology(queues)) await service.channel.assertQueue(queue.name, queue);
      api = await startManagementApi();
      publisher = new AmqpPublisher({ url });
      batches = [];
      thrown = 0;
    });
    afterEach(async () => {
      await mapping?.close();
      await publisher.close();
      await api.close();
      await service.close();
      await deleteQueues(url, ...topology(queues).map(({ name }) => name));
    });
    afterAll(() => stopBroker());

    /** Puts the replies in the queue, and then the consumer on it, so that they come as one batch. */
    async function consume(
      replies: { body: Buffer | string; options?: Options.Publish }[],
      batchSize = replies.length,
    ) {
      const confirming = await service.connection.createConfirmChannel();
      for (const { body, options } of replies) confirming.sendToQueue(queues.wsQueue, Buffer.from(body), options);
      await confirming.waitForConfirms();
      await confirming.close();
      const ports: DeliveryPorts = {
        post: apiGatewayPost(api.url, {
          region: 'us-east-1',
          credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
        }),
        connections: { open: async () => undefined, find: async () => undefined, remove: async () => 'kept' },
        deadLetters: amqpDeadLetters(publisher, queues.wsQueue),
        recent: recentDeliveries(),
        log: silentLog,
        metrics: noMetrics,
      };
      mapping = startMapping(
        {
          functionKey: 'consumer',
          queue: queues.wsQueue,
          virtualHost: '/',
          batchSize,
          windowMs: 300,
          eventSourceArn: 'arn:aws:mq:us-east-1:123456789012:broker:test:b-1',
        },
        {
          url,
          report: () => undefined,
          backOffMs: 50,
          async invoke(_, event) {
            const deliveries = deliveriesOf(event);
            batches.push(deliveries.length);
            try {
              await deliver(deliveries, Date.now() + 20_000, ports);
            } catch (error) {
              thrown += 1;
              service.channel.emit('test-thrown');
              throw error;
            }
          },
        },
      );
    }

    const accountOf = ({ properties }: ConsumeMessage) => {
      const { headers } = properties;
      return Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => name.startsWith('x-')));
    };
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const replyTo = (connectionId: string, messageId: string) => ({
      body: JSON.stringify({ pattern: 'recv', data: { metadata: { socket_id: connectionId } } }),
      options: { messageId },
    });

    test('lays down a dead letter with the body and properties of the reply, and what became of it', async () => {
      const body = Buffer.from([0xff, 0x00, 0x0a]);
      const options = { contentType: 'image/x', type: 't', appId: 'app', correlationId: 'c', timestamp: 1_700_000_000 };
      await consume([{ body, options: { ...options, expiration: '60000', headers: { tenant: 'blü', n: 7 } } }]);
      const letter = await (await reader(service.channel, deadQueue))();
      expect(letter.content).toEqual(body);
      expect(letter.properties).toMatchObject({ ...options, deliveryMode: 2 });
      expect(letter.properties.expiration).toBeUndefined();
      expect(letter.properties.messageId).toBeUndefined();
      expect(letter.properties.headers).toEqual({
        tenant: 'blü',
        n: 7,
        'x-verdict': 'malformed',
        'x-reason': 'the body is not UTF-8',
        'x-first-seen': time,
        'x-attempts': 0,
        'x-original-queue': queues.wsQueue,
      });
    });

    test('takes the traceparent of a reply to the client, and that of a dead letter along', async () => {
      const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01' };
      const { body, options } = replyTo('a', 'm-1');
      await consume([
        { body, options: { ...options, headers } },
        { body: '?', options: { headers } },
      ]);
      const letter = await (await reader(service.channel, deadQueue))();
      expect(letter.properties.headers).toMatchObject(headers);
      expect(api.taken.get('a')).toEqual([{ event: 'recv', messageId: 'm-1', ...headers, data: {} }]);
    });

    test('keeps the history of a letter that was replayed', async () => {
      const headers = { 'x-first-seen': '2026-01-02T03:04:05.678Z', 'x-attempts': 12 };
      await consume([{ body: '?', options: { headers } }]);
      const letter = await (await reader(service.channel, deadQueue))();
      expect(letter.properties.headers).toMatchObject(headers);
    });

    test('lays down a letter whose headers leave no room for more, and its neighbours, at the first attempt', async () => {
      // amqplib writes tables of up to 64 KB; what another client filled further does not even go back as it was.
      const headers = { filler: 'x'.repeat(65_400) };
      await consume([
        { body: 'before' },
        { body: 'stuffed', options: { headers, messageId: 'm-1' } },
        { body: 'after' },
        replyTo('a', 'm-2'),
      ]);
      const next = await reader(service.channel, deadQueue);
      const letters = [await next(), await next(), await next()];
      expect(letters.map(({ content }) => String(content)).sort()).toEqual(['after', 'before', 'stuffed']);
      for (const letter of letters) expect(accountOf(letter)).toMatchObject({ 'x-verdict': 'malformed' });
      expect(letters.find(({ content }) => String(content) === 'stuffed')?.properties.messageId).toBe('m-1');
      expect(thrown).toBe(0);
      expect(api.taken.get('a')).toHaveLength(1);
    });

    test('brings the whole batch back where a letter cannot be laid down, and posts nothing twice', async () => {
      await service.channel.deleteQueue(deadQueue);
      const failed = once(service.channel, 'test-thrown');
      await consume([replyTo('a', 'm-1'), { body: 'poison' }, replyTo('b', 'm-2')]);
      await failed;
      await service.channel.assertQueue(deadQueue, { durable: true });
      const letter = await (await reader(service.channel, deadQueue))();
      expect(String(letter.content)).toBe('poison');
      await mapping?.close();
      expect(thrown).toBeGreaterThan(0);
      expect(new Set(batches)).toEqual(new Set([3]));
      expect(api.posts.sort()).toEqual(['a', 'b']);
      expect(await service.channel.checkQueue(queues.wsQueue)).toMatchObject({ messageCount: 0 });
    });

    test('lays down the letters of a large batch, each once', async () => {
      const bodies = Array.from({ length: 2000 }, (_, n) => `letter ${n}`);
      await consume(bodies.map((body) => ({ body })));
      const next = await reader(service.channel, deadQueue);
      const letters: string[] = [];
      while (letters.length < bodies.length) letters.push(String((await next()).content));
      expect(letters.sort()).toEqual([...bodies].sort());
      await mapping?.close();
      expect(thrown).toBe(0);
      expect(await service.channel.checkQueue(deadQueue)).toMatchObject({ messageCount: 0 });
    });
  });
}
