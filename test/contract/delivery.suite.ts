import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ConsumeMessage, Options } from 'amqplib';
import { type RunningMapping, startMapping } from '../../infra/local/event-source/mapping';
import { topology } from '../../infra/topology';
import { apiGatewayClose } from '../../lib/close';
import { amqpDeadLetters } from '../../lib/dead-letters';
import { type DeliveryPorts, deliver } from '../../lib/delivery';
import { noMetrics } from '../../lib/metrics';
import { deliveriesOf } from '../../lib/mq-event';
import { apiGatewayPost } from '../../lib/post';
import { AmqpPublisher } from '../../lib/publisher';
import { recentDeliveries } from '../../lib/recent';
import { createSessions, type Sessions } from '../../lib/session/sessions';
import { dynamoSessionStore } from '../../lib/session/store.dynamo';
import { deleteQueues, openChannel, queueNames, reader, type TestChannel } from '../helpers/amqp';
import { type ManagementApi, startManagementApi } from '../helpers/management-api';
import { silentLog } from '../helpers/silent-log';
import { startTableApi, type TableApi } from '../helpers/table-api';

const aws = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };

/** What becomes of replies on their way from the queue to a client or to the dead letters, on any broker. */
export function describeDelivery(name: string, broker: () => Promise<{ url: string; close(): Promise<void> }>): void {
  describe(`delivery from ${name}`, () => {
    let url: string;
    let stopBroker: () => Promise<void>;
    let queues: ReturnType<typeof queueNames>;
    let deadQueue: string;
    let service: TestChannel;
    let api: ManagementApi;
    let table: TableApi;
    let sessions: Sessions;
    let publisher: AmqpPublisher;
    let mapping: RunningMapping | undefined;
    /** The sizes of the batches that the function was given, and how many of them it has thrown back. */
    let batches: number[];
    let thrown: number;

    beforeAll(async () => {
      process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
      ({ url, close: stopBroker } = await broker());
      table = await startTableApi();
      sessions = createSessions(dynamoSessionStore(table.sessionTableName, { endpoint: table.url, ...aws }));
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
      table.answer('work');
      await mapping?.close();
      await publisher.close();
      await api.close();
      await service.close();
      await deleteQueues(url, ...topology(queues).map(({ name }) => name));
    });
    afterAll(async () => {
      await table.close();
      await stopBroker();
    });

    /** Puts the replies in the queue, and then the consumer on it, so that they come as one batch. */
    async function consume(
      replies: { body: Buffer | string; options?: Options.Publish }[],
      batchSize = replies.length,
      budgetMs = 20_000,
    ) {
      const confirming = await service.connection.createConfirmChannel();
      for (const { body, options } of replies) confirming.sendToQueue(queues.wsQueue, Buffer.from(body), options);
      await confirming.waitForConfirms();
      await confirming.close();
      const ports: DeliveryPorts = {
        post: apiGatewayPost(api.url, aws),
        close: apiGatewayClose(api.url, aws),
        connections: { remove: async () => ({ result: 'kept' }) },
        sessions,
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
              await deliver(deliveries, Date.now() + budgetMs, ports);
              service.channel.emit('test-handled');
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

    describe('in a session', () => {
      const soon = () => Date.now() + 10_000;
      const open = (connectionId: string) => sessions.open({ connectionId, connectedAt: Date.now() }, soon());
      /** The numbers and the messageIds of all that the next connection gets. */
      const resume = async ({ session, token }: { session: string; token: string }) => {
        const holder = { connectionId: 'next', connectedAt: Date.now() };
        const resumption = await sessions.resume(holder, { session, token, after: 0 }, soon());
        if (resumption.result !== 'resumed') throw new Error(JSON.stringify(resumption));
        return resumption.replies.map(({ seq, frame }) => ({ seq, messageId: JSON.parse(frame).messageId }));
      };
      const idsUpTo = (count: number) => Array.from({ length: count }, (_, n) => `m-${n + 1}`);
      const numbered = (ids: string[]) => ids.map((messageId, n) => ({ seq: n + 1, messageId }));
      const takenBy = (connectionId: string) =>
        (api.taken.get(connectionId) as { seq: number; messageId: string }[]).map(({ seq, messageId }) => ({
          seq,
          messageId,
        }));
      const onSessions = () => table.requests.filter((asked) => asked.table === table.sessionTableName);

      test('all of a batch are stored by three requests, and taken to its connection in order', async () => {
        const opened = await open('a');
        const ids = idsUpTo(100);
        const before = onSessions().length;
        const handled = once(service.channel, 'test-handled');
        await consume(ids.map((id) => replyTo(opened.session, id)));
        await handled;
        expect(
          onSessions()
            .slice(before)
            .map(({ operation }) => operation),
        ).toEqual(['GetItem', 'PutItem', 'PutItem']);
        expect(takenBy('a')).toEqual(numbered(ids));
        expect(await resume(opened)).toEqual(numbered(ids));
      });

      test('a batch that comes back is posted again under the same numbers, and stored once', async () => {
        const opened = await open('a');
        await service.channel.deleteQueue(deadQueue);
        const thrownBack = once(service.channel, 'test-thrown');
        const handled = once(service.channel, 'test-handled');
        await consume([replyTo(opened.session, 'm-1'), { body: 'poison' }, replyTo(opened.session, 'm-2')]);
        await thrownBack;
        await service.channel.assertQueue(deadQueue, { durable: true });
        await handled;
        const taken = takenBy('a');
        expect(taken.length).toBe(2 * batches.length);
        for (let n = 0; n < taken.length; n += 2) expect(taken.slice(n, n + 2)).toEqual(numbered(['m-1', 'm-2']));
        expect(await resume(opened)).toEqual(numbered(['m-1', 'm-2']));
      });

      test('wait in the queue for a table that takes nothing, and no other waits with them', async () => {
        const opened = await open('a');
        table.answer((asked) => (asked.table === table.sessionTableName ? 'throttle' : 'work'));
        const thrownBack = once(service.channel, 'test-thrown');
        const handled = once(service.channel, 'test-handled');
        await consume([replyTo(opened.session, 'm-1'), replyTo('b', 'm-2'), replyTo(opened.session, 'm-3')], 3, 3000);
        await thrownBack;
        expect(api.posts).toEqual(['b']);
        table.answer('work');
        await handled;
        await mapping?.close();
        expect(api.posts).toEqual(['b', 'a', 'a']);
        expect(takenBy('a')).toEqual(numbered(['m-1', 'm-3']));
        expect(await service.channel.checkQueue(queues.wsQueue)).toMatchObject({ messageCount: 0 });
      });

      test('have one number each, whatever answers of the table are lost', async () => {
        const opened = await open('a');
        let lost = 0;
        table.answer(({ operation }) => (operation === 'PutItem' && lost++ < 5 ? 'lose' : 'work'));
        const ids = idsUpTo(5);
        const handled = once(service.channel, 'test-handled');
        await consume(
          ids.map((id) => ({ ...replyTo(opened.session, id), options: {} })),
          5,
        );
        await handled;
        expect(lost).toBeGreaterThan(5);
        expect(takenBy('a').map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
        expect((await resume(opened)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
        expect(batches).toEqual([5]);
      });
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
