import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ConsumeMessage } from 'amqplib';
import { WebSocket } from 'ws';
import { connect, type Gateway, type Options, type Reply, type Session } from '../../lib/client';
import { openChannel, queueNames, reader, type TestChannel } from '../helpers/amqp';
import { memoryStorage } from '../helpers/client-library';
import { type Stack, startStack } from '../helpers/stack';

/** The client library on the running stack, whose connections last five seconds. */

const connectionSeconds = 5;

/** A network that can be switched off. */
class Network {
  isOut = false;
  readonly #sockets = new Set<WebSocket>();
  readonly WebSocket: typeof WebSocket;

  constructor() {
    const network = this;
    this.WebSocket = class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        if (network.isOut) throw new Error('The network is out.');
        super(url, protocols);
        network.#sockets.add(this);
      }
    } as typeof WebSocket;
  }

  /** No closing handshake: neither end is told. */
  goesOut(): void {
    this.isOut = true;
    for (const socket of this.#sockets) socket.terminate();
  }
}

describe('the client library on the whole stack', () => {
  const queues = queueNames();
  const gateways: Gateway[] = [];
  let stack: Stack;
  let service: TestChannel;
  let request: () => Promise<ConsumeMessage>;

  beforeAll(async () => {
    const env = { EXAMPLE_WORKER: 'false', LOG_LEVEL: 'INFO', CONNECTION_SECONDS: String(connectionSeconds) };
    stack = await startStack({ ...queues.env, ...env });
    service = await openChannel(stack.amqpUrl);
    request = await reader(service.channel, queues.apiQueue);
  }, 90_000);
  afterEach(() => {
    for (const gateway of gateways.splice(0)) gateway.close();
  });
  afterAll(async () => {
    await service?.close();
    await stack?.stop();
  }, 30_000);

  function open(options: Options = {}): Gateway & { replied: Reply[] } {
    const gateway = connect(stack.webSocketUrl, { WebSocket, ...options });
    gateways.push(gateway);
    const replied: Reply[] = [];
    gateway.on('recv', (reply) => replied.push(reply));
    return Object.defineProperties(
      { replied } as Gateway & { replied: Reply[] },
      Object.getOwnPropertyDescriptors(gateway),
    );
  }

  /** The next session that it is in. */
  function session(gateway: Gateway): Promise<Session> {
    return new Promise((resolve) => {
      const off = gateway.on('session', (told) => {
        off();
        resolve(told);
      });
    });
  }

  /** Resolves when this many replies have come. */
  async function come(gateway: { on: Gateway['on']; replied: Reply[] }, count: number): Promise<unknown[]> {
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${gateway.replied.length} of ${count} replies`)), 20_000);
      const check = () => {
        if (gateway.replied.length < count) return;
        clearTimeout(late);
        resolve();
      };
      gateway.on('recv', check);
      check();
    });
    return gateway.replied.map(({ data }) => data);
  }

  /** What a service lays into the queue of replies, for a client that it knows. */
  function reply(metadata: object, data: object, messageId: string, pattern = 'recv'): void {
    const event = { pattern: { cmd: pattern }, data: { ...data, metadata } };
    service.channel.sendToQueue(queues.wsQueue, Buffer.from(JSON.stringify(event)), { persistent: true, messageId });
  }

  const metadataOf = ({ content }: ConsumeMessage) => JSON.parse(String(content)).data.metadata;

  test('sends, is acknowledged and answered', async () => {
    const gateway = open();
    const ack = await gateway.send({ prompt: 'hello' }, { id: '1' });
    const { message_id, ...metadata } = metadataOf(await request());
    expect(ack).toEqual({ id: '1', messageId: message_id });
    reply(metadata, { answer: 42 }, 'r');
    expect(await come(gateway, 1)).toEqual([{ answer: 42 }]);
    expect(gateway.replied).toEqual([{ event: 'recv', id: '1', messageId: 'r', data: { answer: 42 } }]);
  });

  test('gets the replies that came while it had no network, once and in order, and repeats its sends', async () => {
    const network = new Network();
    const gateway = open({ session: 'auto', WebSocket: network.WebSocket });
    const { session: id } = await session(gateway);
    reply({ socket_id: id }, { n: 0 }, 'r-0');
    await come(gateway, 1);
    network.goesOut();
    for (const n of [1, 2, 3]) reply({ socket_id: id }, { n }, `r-${n}`);
    const queued = gateway.send({ prompt: 'from a tunnel' });
    await sleep(500);
    expect(gateway.replied).toHaveLength(1);
    network.isOut = false;
    expect(await session(gateway)).toMatchObject({ session: id, resumed: true });
    expect(await come(gateway, 4)).toEqual([0, 1, 2, 3].map((n) => ({ n })));
    expect(gateway.replied.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    await queued;
    expect(metadataOf(await request())).toMatchObject({ socket_id: id });
  });

  test('knows a send that it makes again for a duplicate, and the service sees it once', async () => {
    const gateway = open({ session: 'auto' });
    const first = await gateway.send({ n: 1 }, { id: 'the same' });
    expect(first).not.toHaveProperty('duplicate');
    expect(await gateway.send({ n: 1 }, { id: 'the same' })).toEqual({ ...first, duplicate: true });
    await gateway.send({ n: 2 });
    const seen = [await request(), await request()].map(({ content }) => JSON.parse(String(content)).data.n);
    expect(seen).toEqual([1, 2]);
  });

  test('streams several replies to one send, under names of the service, and ends with its error', async () => {
    const gateway = open({ session: 'auto' });
    const answers = gateway.replies();
    const sent = gateway.send({ prompt: 'hello' }, { id: answers.id });
    const message = await request();
    const { message_id, ...metadata } = metadataOf(message);
    for (const n of [1, 2, 3]) reply(metadata, { n }, `s-${n}`, 'progress');
    const { replyTo, correlationId } = message.properties;
    const error = Buffer.from(JSON.stringify({ err: { message: 'no credit' }, isDisposed: true }));
    service.channel.sendToQueue(replyTo, error, { correlationId });
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const { event, data } of answers) seen.push([event, data]);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'internal', data: { message: 'no credit' } });
    expect(seen).toEqual([1, 2, 3].map((n) => ['progress', { n }]));
    expect(await sent).toMatchObject({ messageId: message_id });
  });

  test('resumes after a reload, with what its storage kept', async () => {
    const storage = memoryStorage();
    const before = open({ session: 'auto', storage });
    const { session: id } = await session(before);
    reply({ socket_id: id }, { n: 1 }, 'l-1');
    await come(before, 1);
    before.close();
    reply({ socket_id: id }, { n: 2 }, 'l-2');
    const after = open({ session: 'auto', storage });
    expect(await session(after)).toMatchObject({ session: id, resumed: true, seq: 1 });
    expect(await come(after, 1)).toEqual([{ n: 2 }]);
  });

  test('leaves the session to whoever takes it over', async () => {
    const storage = memoryStorage();
    const tabs = [open({ session: 'auto', storage })];
    await session(tabs[0] as Gateway);
    const closed = new Promise((resolve) => tabs[0]?.on('state', resolve));
    tabs.push(open({ session: 'auto', storage }));
    expect(await session(tabs[1] as Gateway)).toMatchObject({ resumed: true });
    expect(await closed).toEqual({ state: 'closed', reason: 'taken_over' });
    await tabs[1]?.send({});
    await request();
  });

  test('is never without a connection while each lasts five seconds, and loses and doubles nothing', async () => {
    const gateway = open({ session: 'auto', rotateMs: 2000 });
    const states: unknown[] = [];
    const { session: id } = await session(gateway);
    gateway.on('state', (told) => states.push(told));
    const resumed: boolean[] = [];
    gateway.on('session', (told) => resumed.push(told.resumed));
    const until = Date.now() + 3 * connectionSeconds * 1000;
    let count = 0;
    const requests: Promise<ConsumeMessage>[] = [];
    for (; Date.now() < until; count += 1) {
      reply({ socket_id: id }, { n: count }, `rotation-${count}`);
      const ack = await gateway.send({ n: count });
      expect(ack).not.toHaveProperty('code');
      requests.push(request());
      await sleep(50);
    }
    expect(await come(gateway, count)).toEqual(Array.from({ length: count }, (_, n) => ({ n })));
    const seen = (await Promise.all(requests)).map(({ content }) => JSON.parse(String(content)).data.n);
    expect(seen).toEqual(Array.from({ length: count }, (_, n) => n));
    expect(resumed.length).toBeGreaterThanOrEqual(3);
    expect(resumed).not.toContain(false);
    expect(states.filter((told) => (told as { state: string }).state !== 'open')).toEqual([]);
  }, 60_000);
});
