import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { OutgoingMessage, Properties } from '../../lib/amqp';
import { amqpDeadLetters } from '../../lib/dead-letters';
import type { GatewayError } from '../../lib/errors';
import { AmqpPublisher } from '../../lib/publisher';
import { openChannel, queueNames, reader, type TestChannel } from '../helpers/amqp';

/** What the publisher promises, on any broker. */
export function describePublisher(name: string, broker: () => Promise<{ url: string; close(): Promise<void> }>): void {
  describe(`the publisher on ${name}`, () => {
    const { wsQueue: queue } = queueNames();
    let url: string;
    let stopBroker: () => Promise<void>;
    let client: TestChannel;
    let publisher: AmqpPublisher;
    let proxy: TcpProxy;

    beforeAll(async () => {
      ({ url, close: stopBroker } = await broker());
    });
    beforeEach(async () => {
      client = await openChannel(url);
      await client.channel.assertQueue(queue, { durable: true });
      proxy = await startTcpProxy(url);
      publisher = new AmqpPublisher({ url: proxy.url, attemptMs: 500 });
    });
    afterEach(async () => {
      await publisher.close();
      await proxy.close();
      await client.channel.deleteQueue(queue);
      await client.close();
    });
    afterAll(() => stopBroker());

    const message = (body: string, messageId: string = randomUUID()): OutgoingMessage => ({
      queue,
      body: Buffer.from(body),
      properties: { messageId, deliveryMode: 2, headers: { traceparent: 'x' } },
    });
    const inTime = () => Date.now() + 5000;
    const codeOf = (error: GatewayError) => ({ code: error.code, retryable: error.retryable });

    test('has the message in the queue, with its properties, when it resolves', async () => {
      await publisher.publish(message('hello', 'm-1'), inTime());
      const got = await client.channel.get(queue, { noAck: true });
      if (got === false) throw new Error('nothing in the queue');
      expect(String(got.content)).toBe('hello');
      expect(got.properties).toMatchObject({
        messageId: 'm-1',
        deliveryMode: 2,
        headers: { traceparent: 'x' },
      });
    });

    test('serves concurrent calls over one connection and in order', async () => {
      const bodies = Array.from({ length: 200 }, (_, n) => String(n));
      await Promise.all(bodies.map((body) => publisher.publish(message(body), inTime())));
      expect(proxy.connections).toBe(1);
      const next = await reader(client.channel, queue);
      for (const body of bodies) expect(String((await next()).content)).toBe(body);
    });

    test('tells an unroutable message from its neighbours, and goes on', async () => {
      const lost = { ...message('lost'), queue: `${queue}.absent` };
      const results = await Promise.allSettled([
        publisher.publish(message('a'), inTime()),
        publisher.publish(lost, inTime()),
        publisher.publish(message('b'), inTime()),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(codeOf((results[1] as PromiseRejectedResult).reason)).toEqual({
        code: 'unroutable',
        retryable: true,
      });
    });

    test('opens a new link when the old one was cut, under the same messageId', async () => {
      await publisher.publish(message('before'), inTime());
      proxy.cut();
      await publisher.publish(message('after', 'same'), inTime());
      expect(proxy.connections).toBe(2);
      const next = await reader(client.channel, queue);
      expect(String((await next()).content)).toBe('before');
      expect((await next()).properties.messageId).toBe('same');
    });

    test('retries what was not confirmed in time on a new link: at least once, told by messageId', async () => {
      await publisher.publish(message('before'), inTime());
      proxy.swallowAnswers();
      await publisher.publish(message('twice', 'same'), inTime());
      const next = await reader(client.channel, queue);
      await next();
      expect((await next()).properties.messageId).toBe('same');
      expect((await next()).properties.messageId).toBe('same');
    });

    test('says unavailable when there is no broker before the deadline', async () => {
      await proxy.close();
      const error = await publisher.publish(message('x'), Date.now() + 600).catch((error) => error);
      expect(codeOf(error)).toEqual({ code: 'unavailable', retryable: true });
    });

    test('says unavailable when a queue rejects what it cannot hold', async () => {
      const full = `${queue}.full`;
      const options = { durable: false, maxLength: 1, arguments: { 'x-overflow': 'reject-publish' } };
      await client.channel.assertQueue(full, options);
      await publisher.publish({ ...message('fits'), queue: full }, inTime());
      const error = await publisher.publish({ ...message('does not'), queue: full }, inTime()).catch((error) => error);
      expect(codeOf(error)).toEqual({ code: 'unavailable', retryable: true });
      await client.channel.deleteQueue(full);
    });

    test('retries what was under way when the connection was cut', async () => {
      await publisher.publish(message('before'), inTime());
      const bodies = Array.from({ length: 50 }, (_, n) => String(n));
      const publishing = bodies.map((body) => publisher.publish(message(body), inTime()));
      proxy.cut();
      await Promise.all(publishing);
      const next = await reader(client.channel, queue);
      const arrived = new Set<string>();
      while (!bodies.every((body) => arrived.has(body))) arrived.add(String((await next()).content));
    });

    test('refuses at once what AMQP cannot express, and its neighbours are not harmed', async () => {
      const long = 'x'.repeat(300);
      const results = await Promise.allSettled([
        publisher.publish(message('a'), inTime()),
        publisher.publish(message('b', long), inTime()),
        publisher.publish(message('c'), inTime()),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((results[1] as PromiseRejectedResult).reason.code).toBe('invalid_message');
      expect(proxy.connections).toBe(1);
    });

    test('tells two messages of one id apart', async () => {
      const results = await Promise.allSettled([
        publisher.publish({ ...message('lost', 'same'), queue: `${queue}.absent` }, inTime()),
        publisher.publish(message('found', 'same'), inTime()),
        publisher.publish({ ...message('lost', 'same'), queue: `${queue}.absent` }, inTime()),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    });

    test('gives up on one message at its deadline, and not on the link that serves the others', async () => {
      const patient = new AmqpPublisher({ url: proxy.url, attemptMs: 5000 });
      await patient.publish(message('before'), inTime());
      proxy.holdAnswers();
      const hurried = patient.publish(message('hurried'), Date.now() + 200).catch((error) => error);
      const calm = patient.publish(message('calm'), inTime());
      expect(codeOf(await hurried)).toEqual({ code: 'unavailable', retryable: true });
      proxy.releaseAnswers();
      await calm;
      expect(proxy.connections).toBe(1);
      await patient.close();
    });

    test('keeps its deadline when the broker never answers', async () => {
      const silent = net.createServer(() => undefined).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const { port } = silent.address() as AddressInfo;
      const waiting = new AmqpPublisher({ url: `amqp://127.0.0.1:${port}`, attemptMs: 3000 });
      const deadline = Date.now() + 300;
      const error = await waiting.publish(message('x'), deadline).catch((error) => error);
      expect(codeOf(error)).toEqual({ code: 'unavailable', retryable: true });
      // Far below the 3 s of the attempt: the deadline ended it.
      expect(Date.now() - deadline).toBeLessThan(2000);
      await waiting.close();
      silent.close();
    });

    test('lays down a dead letter without what would lead it astray, or could not be written', async () => {
      await client.channel.assertQueue(`${queue}.dead`, { durable: true });
      const deadLetters = amqpDeadLetters(publisher, queue);
      const next = await reader(client.channel, `${queue}.dead`);
      const add = (properties: Properties) =>
        deadLetters.add(
          { queue, body: Buffer.from('x'), redelivered: false, properties },
          'malformed',
          'why',
          inTime(),
        );
      await add({ headers: { CC: [queue], mine: 1 } });
      expect((await next()).properties.headers).toMatchObject({ mine: 1, 'x-verdict': 'malformed' });
      for (const properties of [{ correlationId: 'x'.repeat(300) }, { headers: { odd: { '!': 'x' } } }]) {
        await add(properties);
        expect((await next()).properties.headers).toMatchObject({ 'x-verdict': 'malformed' });
      }
      expect((await client.channel.checkQueue(queue)).messageCount).toBe(0);
      await client.channel.deleteQueue(`${queue}.dead`);
    });

    test('lays down a dead letter with its body, its headers and the reason', async () => {
      await client.channel.assertQueue(`${queue}.dead`, { durable: true });
      const delivery = {
        queue,
        body: Buffer.from([0xff, 0x00]),
        properties: {
          correlationId: 'c',
          headers: { text: 'ü', table: { a: 1 } },
          userId: 'nobody',
          expiration: '1',
        },
        redelivered: false,
      };
      await amqpDeadLetters(publisher, queue).add(delivery, 'malformed', 'not UTF-8', inTime());
      const next = await reader(client.channel, `${queue}.dead`);
      const { content, properties } = await next();
      expect(content).toEqual(delivery.body);
      expect(properties).toMatchObject({ correlationId: 'c', deliveryMode: 2 });
      expect(properties.headers).toEqual({
        text: 'ü',
        table: { a: 1 },
        'x-verdict': 'malformed',
        'x-reason': 'not UTF-8',
        'x-original-queue': queue,
      });
      await client.channel.deleteQueue(`${queue}.dead`);
    });
  });
}

interface TcpProxy {
  url: string;
  /** How many there were. */
  connections: number;
  cut(): void;
  /** From now on the broker's answers on the open connections are lost; new ones are not affected. */
  swallowAnswers(): void;
  holdAnswers(): void;
  releaseAnswers(): void;
  close(): Promise<void>;
}

/** Between publisher and broker, so that a test can break the path. */
async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port, username, password } = new URL(target);
  const pairs = new Set<{ client: Socket; upstream: Socket }>();
  const server = net.createServer((client) => {
    proxy.connections += 1;
    const upstream = net.connect(Number(port), hostname);
    const pair = { client, upstream };
    pairs.add(pair);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: TcpProxy = {
    url: `amqp://${username}:${password}@127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: 0,
    cut() {
      for (const { client } of pairs) client.destroy();
    },
    swallowAnswers() {
      for (const { client, upstream } of pairs) upstream.unpipe(client).resume();
    },
    holdAnswers() {
      for (const { client, upstream } of pairs) upstream.unpipe(client).pause();
    },
    releaseAnswers() {
      for (const { client, upstream } of pairs) upstream.pipe(client);
    },
    async close() {
      proxy.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;
}
