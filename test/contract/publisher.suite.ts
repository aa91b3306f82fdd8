import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { OutgoingMessage } from '../../lib/amqp';
import type { GatewayError } from '../../lib/errors';
import { AmqpPublisher } from '../../lib/publisher';
import { openChannel, queueNames, reader, type TestChannel } from '../helpers/amqp';
import { startWire, type Wire } from '../helpers/wire';

/** A broker of the suite's own, which it may disturb. */
export interface PublisherBroker {
  url: string;
  setMemoryAlarm(on: boolean): Promise<void>;
  close(): Promise<void>;
}

/** What the publisher promises, on any broker. */
export function describePublisher(
  name: string,
  startBroker: (options?: { maxMessageBytes?: number }) => Promise<PublisherBroker>,
): void {
  describe(`the publisher on ${name}`, () => {
    const { wsQueue: queue } = queueNames();
    let broker: PublisherBroker;
    let client: TestChannel;
    let publisher: AmqpPublisher;
    let wire: Wire;

    beforeAll(async () => {
      broker = await startBroker();
    }, startMs);
    beforeEach(async () => {
      client = await openChannel(broker.url);
      await client.channel.assertQueue(queue, { durable: true });
      wire = await startWire(broker.url);
      publisher = new AmqpPublisher({ url: wire.url, attemptMs: 500 });
    });
    afterEach(async () => {
      await publisher.close();
      await wire.close();
      await client.channel.deleteQueue(queue);
      await client.close();
    });
    afterAll(() => broker.close());

    const message = (body: string, messageId: string = randomUUID()): OutgoingMessage => ({
      queue,
      body: Buffer.from(body),
      properties: { messageId, deliveryMode: 2, headers: { traceparent: 'x' } },
    });
    const anonymous = (body: string, to = queue): OutgoingMessage => ({
      queue: to,
      body: Buffer.from(body),
      properties: {},
    });
    const absent = `${queue}.absent`;
    const inTime = () => Date.now() + 5000;
    const codeOf = (error: GatewayError) => ({ code: error.code, retryable: error.retryable });
    const unavailable = { code: 'unavailable', retryable: true };
    const refusalOf = (publishing: Promise<void>) =>
      publishing.then(
        () => undefined,
        (error: GatewayError) => codeOf(error),
      );
    const codesOf = async (publishing: Promise<void>[]) =>
      (await Promise.all(publishing.map(refusalOf))).map((refusal) => refusal?.code ?? 'taken');
    const bodiesIn = async (name = queue) => {
      const bodies: string[] = [];
      for (;;) {
        const got = await client.channel.get(name, { noAck: true });
        if (got === false) return bodies;
        bodies.push(String(got.content));
      }
    };

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
      expect(wire.connections).toBe(1);
      const next = await reader(client.channel, queue);
      for (const body of bodies) expect(String((await next()).content)).toBe(body);
    });

    test('has more at once than a socket takes, in order', async () => {
      const bodies = Array.from({ length: 300 }, (_, n) => String(n).padEnd(1200, 'x'));
      await Promise.all(bodies.map((body) => publisher.publish(message(body), inTime())));
      expect(await bodiesIn()).toEqual(bodies);
    });

    test('is connected ahead of a message that is announced, and by one connection', async () => {
      publisher.prepare();
      publisher.prepare();
      await publisher.publish(message('hello'), inTime());
      publisher.prepare();
      expect(wire.connections).toBe(1);
      expect(await bodiesIn()).toEqual(['hello']);
    });

    test('connects ahead of no message once it is closed', async () => {
      await publisher.close();
      publisher.prepare();
      expect(await refusalOf(publisher.publish(message('late'), inTime()))).toEqual(unavailable);
      expect(wire.connections).toBe(0);
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
      wire.reset();
      await publisher.publish(message('after', 'same'), inTime());
      expect(wire.connections).toBe(2);
      const next = await reader(client.channel, queue);
      expect(String((await next()).content)).toBe('before');
      expect((await next()).properties.messageId).toBe('same');
    });

    test('retries what was not confirmed in time on a new link: at least once, told by messageId', async () => {
      await publisher.publish(message('before'), inTime());
      wire.disturb({ answers: 'lose' });
      await publisher.publish(message('twice', 'same'), inTime());
      const next = await reader(client.channel, queue);
      await next();
      expect((await next()).properties.messageId).toBe('same');
      expect((await next()).properties.messageId).toBe('same');
    });

    test('says unavailable when there is no broker before the deadline', async () => {
      wire.refuse(true);
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
      wire.reset();
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
      expect(wire.connections).toBe(1);
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
      const patient = new AmqpPublisher({ url: wire.url, attemptMs: 5000 });
      await patient.publish(message('before'), inTime());
      wire.disturb({ answers: 'hold' });
      const hurried = patient.publish(message('hurried'), Date.now() + 200).catch((error) => error);
      const calm = patient.publish(message('calm'), inTime());
      expect(codeOf(await hurried)).toEqual({ code: 'unavailable', retryable: true });
      wire.calm();
      await calm;
      expect(wire.connections).toBe(1);
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

    test('tells messages apart that have no id, and those that are alike', async () => {
      const publishing = [
        publisher.publish(anonymous('same', absent), inTime()),
        publisher.publish(anonymous('same'), inTime()),
        publisher.publish(anonymous('same', absent), inTime()),
        publisher.publish(anonymous('same'), inTime()),
        publisher.publish(anonymous('other', absent), inTime()),
      ];
      expect(await codesOf(publishing)).toEqual(['unroutable', 'taken', 'unroutable', 'taken', 'unroutable']);
      expect(await bodiesIn()).toEqual(['same', 'same']);
    });

    test('knows a returned message whose names are no well-formed text', async () => {
      const lost = publisher.publish({ ...message('lost', 'half a \ud800 pair'), queue: `${absent}\ud800` }, inTime());
      expect(await refusalOf(lost)).toEqual({ code: 'unroutable', retryable: true });
    });

    test('takes the return of a message that nobody waits for any more as no news of one like it', async () => {
      const patient = new AmqpPublisher({ url: wire.url, attemptMs: 5000 });
      await patient.publish(message('before'), inTime());
      wire.disturb({ answers: 'hold' });
      expect(await refusalOf(patient.publish(anonymous('same', absent), Date.now() + 200))).toEqual(unavailable);
      await client.channel.assertQueue(absent, { durable: true });
      const again = patient.publish(anonymous('same', absent), inTime());
      wire.calm();
      await again;
      expect(await bodiesIn(absent)).toEqual(['same']);
      await client.channel.deleteQueue(absent);
      await patient.close();
    });

    test.each([
      ['?heartbeat=50', 40, 1],
      ['?heartbeat=20', 25, 2],
      // RabbitMQ proposes 60, and the lower one counts.
      ['?heartbeat=200', 70, 2],
      ['', 25, 1],
      ['', 35, 2],
    ])(
      'trusts a link for the heartbeat that was agreed: %p, idle for %d s',
      async (query, idleSeconds, connections) => {
        const idle = new AmqpPublisher({ url: `${wire.url}${query}` });
        const clock = jest.spyOn(Date, 'now');
        try {
          await idle.publish(message('before'), inTime());
          const now = Date.now();
          clock.mockImplementation(() => now + idleSeconds * 1000);
          await idle.publish(message('after'), inTime());
          expect(wire.connections).toBe(connections);
        } finally {
          clock.mockRestore();
          await idle.close();
        }
      },
    );

    test('gives a large message the time that it takes on a slow path', async () => {
      await publisher.publish(message('before'), inTime());
      wire.disturb({ bytesPerSecond: 4_000_000 });
      await publisher.publish({ ...message(''), body: Buffer.alloc(6_000_000) }, Date.now() + 20_000);
      expect(wire.connections).toBe(1);
    });

    test('fails fast while the broker is blocked, without another link, and serves on after', async () => {
      const patient = new AmqpPublisher({ url: wire.url, attemptMs: 600 });
      const other = await startWire(broker.url);
      const withoutAnswers = new AmqpPublisher({ url: other.url, attemptMs: 60_000 });
      await Promise.all([patient.publish(message('before'), inTime()), withoutAnswers.publish(message('x'), inTime())]);
      other.disturb({ answers: 'lose' });
      await broker.setMemoryAlarm(true);
      try {
        // Without the broker's word for it they would wait for their deadline, which is beyond that of the test.
        const late = Date.now() + 60_000;
        const during = Array.from({ length: 10 }, (_, n) => patient.publish(message(`${n}`), late));
        expect(new Set(await codesOf(during))).toEqual(new Set(['unavailable']));
        expect(await refusalOf(patient.publish(message('refused'), late))).toEqual(unavailable);
        // Longer than the link may be silent.
        await refusalOf(withoutAnswers.publish(message('waits'), Date.now() + 1500));
      } finally {
        await broker.setMemoryAlarm(false);
      }
      while ((await refusalOf(patient.publish(message('after'), inTime()))) !== undefined)
        await new Promise(setImmediate);
      expect(wire.connections).toBe(1);
      await Promise.all([patient.close(), withoutAnswers.close()]);
      await other.close();
      const bodies = await bodiesIn();
      expect(bodies).toContain('after');
      expect(bodies).not.toContain('refused');
    });

    test('never lets arrive what it refused before it was written', async () => {
      const patient = new AmqpPublisher({ url: wire.url, attemptMs: 20_000 });
      await patient.publish(message('before'), inTime());
      wire.disturb({ requests: 'hold' });
      const large = 'x'.repeat(120_000);
      const waiting = Array.from({ length: 300 }, (_, n) =>
        patient.publish(message(`${n} ${large}`), Date.now() + 25_000),
      );
      const hurried = Array.from({ length: 20 }, (_, n) => patient.publish(message(`hurried ${n}`), Date.now() + 300));
      expect(new Set(await codesOf(hurried))).toEqual(new Set(['unavailable']));
      wire.calm();
      await Promise.all(waiting);
      expect(wire.connections).toBe(1);
      const bodies = (await bodiesIn()).map((body) => body.split(' ')[0]);
      expect(bodies).toEqual(['before', ...waiting.map((_, n) => String(n))]);
      await patient.close();
    });

    test('refuses a message above the limit before it is sent', async () => {
      const body = Buffer.alloc(16 * 1024 * 1024 + 1);
      const refusal = await refusalOf(publisher.publish({ ...message(''), body }, inTime()));
      expect(refusal).toEqual({ code: 'too_large', retryable: false });
      expect(wire.connections).toBe(0);
    });

    test(
      'learns a lower limit from the broker, and its neighbours are not harmed',
      async () => {
        const strict = await startBroker({ maxMessageBytes: 1000 });
        const strictWire = await startWire(strict.url);
        const sender = new AmqpPublisher({ url: strictWire.url });
        const strictClient = await openChannel(strict.url);
        await strictClient.channel.assertQueue(queue, { durable: true });
        const bodies = ['a', 'b'.repeat(1001), 'c', 'd'.repeat(1000), 'e'.repeat(2000), 'f'];
        const codes = await codesOf(bodies.map((body) => sender.publish(message(body), inTime())));
        expect(codes).toEqual(['taken', 'too_large', 'taken', 'taken', 'too_large', 'taken']);
        const { connections } = strictWire;
        expect(await codesOf([sender.publish(message('x'.repeat(1001)), inTime())])).toEqual(['too_large']);
        await sender.publish(message('x'), inTime());
        expect(strictWire.connections - connections).toBeLessThanOrEqual(1);
        await sender.close();
        await strictClient.channel.deleteQueue(queue);
        await strictClient.close();
        await strictWire.close();
        await strict.close();
      },
      startMs,
    );

    test.each([
      ['a property that the broker does not take', '', { userId: 'nobody' }],
      ['headers that do not fit into a frame', '?frameMax=4096', { headers: { long: 'x'.repeat(5000) } }],
    ])('refuses %s, and sends its neighbours again', async (_, query, properties) => {
      const sender = new AmqpPublisher({ url: `${wire.url}${query}` });
      const bad = { queue, body: Buffer.from('bad'), properties };
      const messages = Array.from({ length: 21 }, (_, n) => (n % 10 === 5 ? bad : anonymous(String(n))));
      const codes = await codesOf(messages.map((each) => sender.publish(each, inTime())));
      expect(codes).toEqual(messages.map((each) => (each === bad ? 'invalid_message' : 'taken')));
      const arrived = new Set(await bodiesIn());
      expect([...arrived].sort()).toEqual(
        messages.flatMap(({ body }) => (String(body) === 'bad' ? [] : [String(body)])).sort(),
      );
      await sender.publish(message('after'), inTime());
      await sender.close();
    });

    test('finds the one that the broker does not take among others that go on coming, and ends their link once', async () => {
      const bad = { queue, body: Buffer.from('bad'), properties: { userId: 'nobody' } };
      let found = false;
      const refused = refusalOf(publisher.publish(bad, inTime())).finally(() => {
        found = true;
      });
      const goOn = async () => {
        while (!found) await publisher.publish(anonymous('x'), inTime());
      };
      await Promise.all(Array.from({ length: 30 }, goOn));
      expect(await refused).toEqual({ code: 'invalid_message', retryable: false });
      // Twice the link of all, and twice that of the suspects.
      expect(wire.connections).toBeLessThanOrEqual(4);
    });

    test('takes no message once it is closed, and confirms those under way before', async () => {
      const publishing = Array.from({ length: 50 }, (_, n) => publisher.publish(message(String(n)), inTime()));
      const closing = publisher.close();
      expect(await refusalOf(publisher.publish(message('late'), inTime()))).toEqual(unavailable);
      await Promise.all(publishing);
      await closing;
      expect(await bodiesIn()).toHaveLength(50);
    });
  });
}

/** A RabbitMQ takes its time. */
const startMs = 90_000;
