import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { GetMessage, Options } from 'amqplib';
import { type BrokerStatus, brokerStatus, type Status } from '../../infra/local/status';
import { openChannel, queueNames, type TestChannel } from '../helpers/amqp';

/** What the page is told of a broker, of whatever kind; and that looking changes nothing. */
export function describeStatus(name: string, broker: () => Promise<{ url: string; close(): Promise<void> }>): void {
  describe(`the status of ${name}`, () => {
    let url: string;
    let stopBroker: () => Promise<void>;
    let client: TestChannel;
    let queues: string[];
    let dead: string;
    let opened: BrokerStatus[];

    beforeAll(async () => {
      ({ url, close: stopBroker } = await broker());
    });
    beforeEach(async () => {
      client = await openChannel(url);
      const { apiQueue, wsQueue } = queueNames();
      dead = `${wsQueue}.dead`;
      queues = [apiQueue, wsQueue, dead];
      opened = [];
    });
    afterEach(async () => {
      for (const status of opened) await status.close();
      const { channel, close } = await openChannel(url);
      for (const queue of queues) await channel.deleteQueue(queue);
      await close();
      await client.close();
    });
    afterAll(() => stopBroker());

    async function declare(options: Options.AssertQueue = {}): Promise<void> {
      const [apiQueue, wsQueue] = queues as [string, string, string];
      for (const queue of [apiQueue, wsQueue]) await client.channel.assertQueue(queue, { durable: true });
      await client.channel.assertQueue(dead, { durable: true, ...options });
    }

    /** Resolves once they are there. */
    async function put(queue: string, bodies: readonly (string | Buffer)[], options: Options.Publish = {}) {
      const channel = await client.connection.createConfirmChannel();
      for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body), { persistent: true, ...options });
      await channel.waitForConfirms();
      await channel.close();
    }

    async function take(): Promise<GetMessage> {
      const letter = await client.channel.get(dead);
      if (letter === false) throw new Error(`${dead} is empty`);
      return letter;
    }

    function open(): BrokerStatus {
      const status = brokerStatus(url, queues);
      opened.push(status);
      return status;
    }

    async function read(status = open()): Promise<Exclude<Status, { error: string }>> {
      const answer = await status.read();
      if ('error' in answer) throw new Error(answer.error);
      return answer;
    }

    test('counts what waits in each queue, and who takes it', async () => {
      await declare();
      await put(queues[0] as string, ['{}', '{}']);
      await client.channel.consume(queues[1] as string, () => undefined);
      expect(await read()).toEqual({
        queues: [
          { name: queues[0], waiting: 2, consumers: 0 },
          { name: queues[1], waiting: 0, consumers: 1 },
          { name: dead, waiting: 0, consumers: 0 },
        ],
        deadLetters: { queue: dead, letters: [] },
      });
    });

    test('says of a queue that does not exist that it does not, and makes none', async () => {
      const status = await read();
      expect(status.queues.map(({ waiting }) => waiting)).toEqual([null, null, null]);
      expect(status.deadLetters.letters).toEqual([]);
      const { channel, close } = await openChannel(url);
      await expect(channel.checkQueue(dead)).rejects.toThrow('404');
      await close();
    });

    test('shows the first dead letters, printable, and leaves them where they are', async () => {
      await declare();
      const headers = {
        'x-verdict': 'malformed',
        'x-reason': 'no pattern',
        'x-first-seen': '2026-01-02T03:04:05.678Z',
      };
      await put(dead, [`{"a":"${'é'.repeat(500)}"}`], { messageId: 'r-1', headers });
      await put(dead, [Buffer.from([0xff, 0x00]), 'with a \u001b[31m']);
      const { deadLetters } = await read();
      expect(deadLetters.letters).toEqual([
        expect.objectContaining({
          n: 1,
          verdict: 'malformed',
          reason: 'no pattern',
          firstSeen: '2026-01-02T03:04:05.678Z',
          messageId: 'r-1',
          bytes: 1008,
          excerpt: `{"a":"${'é'.repeat(194)}`,
        }),
        expect.objectContaining({ n: 2, verdict: null, bytes: 2, excerpt: '/wA=' }),
        expect.objectContaining({ n: 3, excerpt: Buffer.from('with a \u001b[31m').toString('base64') }),
      ]);
      expect((await client.channel.checkQueue(dead)).messageCount).toBe(3);
      expect((await take()).properties.messageId).toBe('r-1');
    });

    test('shows no more than twenty letters', async () => {
      await declare();
      await put(
        dead,
        Array.from({ length: 25 }, (_, n) => `${n}`),
      );
      const { queues, deadLetters } = await read();
      expect(queues.at(-1)?.waiting).toBe(25);
      expect(deadLetters.letters?.map(({ excerpt }) => excerpt)).toEqual(Array.from({ length: 20 }, (_, n) => `${n}`));
      expect((await client.channel.checkQueue(dead)).messageCount).toBe(25);
    });

    test('does not look into a quorum queue, which counts every look', async () => {
      await declare({ arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 } });
      await put(dead, ['one', 'two']);
      for (let n = 0; n < 3; n += 1) {
        const { queues, deadLetters } = await read();
        expect([queues.at(-1)?.waiting, deadLetters.letters]).toEqual([2, null]);
      }
      const { content, fields } = await take();
      expect([String(content), fields.redelivered]).toEqual(['one', false]);
    });

    test('lays no letter down anew, not even one with the mark of a quorum queue that it was in before', async () => {
      await declare();
      await put(dead, ['one', 'two'], { headers: { 'x-delivery-count': 3 } });
      for (let n = 0; n < 3; n += 1) expect((await read()).deadLetters.letters).toHaveLength(2);
      const letters = [await take(), await take()];
      expect(letters.map(({ content }) => String(content))).toEqual(['one', 'two']);
      for (const { properties } of letters) expect(properties.headers).toEqual({ 'x-delivery-count': 3 });
    });

    test('asks the broker once, however many ask here', async () => {
      await declare();
      const status = open();
      const first = await read(status);
      await put(queues[0] as string, ['{}']);
      const answers = await Promise.all([read(status), read(status), read(status)]);
      expect(answers).toEqual([first, first, first]);
    });
  });
}
