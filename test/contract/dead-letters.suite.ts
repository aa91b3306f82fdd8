import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { GetMessage, Options } from 'amqplib';
import { type DeadLetterQueue, type Letter, openDeadLetterQueue } from '../../infra/dead-letters/queue';
import { drop, list, replay, show } from '../../infra/dead-letters/verbs';
import { startBroker } from '../../infra/local/broker/broker';
import { brokerAt } from '../../lib/credentials';
import { AmqpPublisher } from '../../lib/publisher';
import { openChannel, queueNames, reader, type TestChannel } from '../helpers/amqp';
import { startWire, type Wire } from '../helpers/wire';

const root = join(__dirname, '..', '..');

/** What the operator's tool promises, on any broker. */
export function describeDeadLetters(
  name: string,
  broker: () => Promise<{ url: string; close(): Promise<void> }>,
): void {
  describe(`dead letters on ${name}`, () => {
    let url: string;
    let stopBroker: () => Promise<void>;
    let client: TestChannel;
    let wsQueue: string;
    let dead: string;
    let queues: string[];
    let opened: { close(): Promise<void> }[];

    beforeAll(async () => {
      ({ url, close: stopBroker } = await broker());
    });
    beforeEach(async () => {
      client = await openChannel(url);
      ({ wsQueue } = queueNames());
      dead = `${wsQueue}.dead`;
      queues = [];
      opened = [];
      await declare(wsQueue);
      await declare(dead);
    });
    afterEach(async () => {
      for (const each of opened) await each.close();
      // A failed check closes its channel, so the queues go by another.
      const { channel, close } = await openChannel(url);
      for (const queue of queues) await channel.deleteQueue(queue);
      await close();
      await client.close();
    });
    afterAll(() => stopBroker());

    async function declare(queue: string, options: Options.AssertQueue = {}): Promise<void> {
      queues.push(queue);
      await client.channel.assertQueue(queue, { durable: true, ...options });
    }

    /** The queue of dead letters, as one that counts returns. */
    async function declareQuorum(deliveryLimit: number): Promise<void> {
      await client.channel.deleteQueue(dead);
      await declare(dead, { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': deliveryLimit } });
    }

    async function open(options: { url?: string; signal?: AbortSignal } = {}): Promise<DeadLetterQueue> {
      const queue = await openDeadLetterQueue(brokerAt(options.url ?? url), wsQueue, options.signal);
      opened.push(queue);
      return queue;
    }

    /** With something that happens around each publish; the publisher itself is not on the wire. */
    function withPublisher(queue: DeadLetterQueue, around: (publish: () => Promise<void>) => Promise<void>) {
      const publisher = new AmqpPublisher({ url });
      opened.push(publisher);
      const publish: AmqpPublisher['publish'] = (...args) => around(() => publisher.publish(...args));
      return { ...queue, publisher: { publish, prepare() {}, close: async () => undefined } };
    }

    async function wire(): Promise<Wire> {
      const started = await startWire(url);
      opened.push(started);
      return started;
    }

    async function layDown(...letters: (string | [body: string | Buffer, options: Options.Publish])[]): Promise<void> {
      const { connection } = client;
      const channel = await connection.createConfirmChannel();
      for (const letter of letters) {
        const [body, options] = typeof letter === 'string' ? [letter, { messageId: letter }] : letter;
        channel.sendToQueue(dead, Buffer.from(body as string), { persistent: true, ...options });
      }
      await channel.waitForConfirms();
      await channel.close();
    }

    async function take(queue: string): Promise<GetMessage> {
      const message = await client.channel.get(queue, { noAck: true });
      if (message === false) throw new Error(`nothing in ${queue}`);
      return message;
    }

    async function takeAll(queue: string): Promise<string[]> {
      const bodies: string[] = [];
      for (;;) {
        const message = await client.channel.get(queue, { noAck: true });
        if (message === false) return bodies;
        bodies.push(String(message.content));
      }
    }

    async function bodies(queue: DeadLetterQueue, limit = 100): Promise<string[]> {
      const seen: string[] = [];
      await list(queue, limit, ({ body }) => seen.push(String(body)));
      return seen;
    }

    const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index + 1));
    const ready = async (queue: string) => (await client.channel.checkQueue(queue)).messageCount;

    /** `npm run dead-letters`, as a process. */
    function run(args: string[], env: Record<string, string> = {}) {
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', join(root, 'infra/dead-letters/dead-letters.cli.ts'), ...args],
        {
          cwd: root,
          stdio: ['ignore', 'pipe', 'pipe'],
          env: { PATH: process.env.PATH, AMQP_URL: url, WS_QUEUE: wsQueue, ...env },
        },
      );
      opened.push({ close: async () => void child.kill('SIGKILL') });
      const output = { stdout: '', stderr: '' };
      child.stdout.on('data', (chunk) => {
        output.stdout += chunk;
      });
      child.stderr.on('data', (chunk) => {
        output.stderr += chunk;
      });
      const exit = once(child, 'close').then(([code]) => ({ code, ...output }));
      return { child, exit };
    }

    describe('looking', () => {
      test('lists the first letters in their order, tells how many there are, and leaves them all in their places', async () => {
        await layDown(...numbers(5));
        const queue = await open();
        const seen: [number, string][] = [];
        expect(await list(queue, 3, ({ n, body }) => seen.push([n, String(body)]))).toBe(5);
        expect(seen).toEqual([
          [1, '1'],
          [2, '2'],
          [3, '3'],
        ]);
        expect(await bodies(queue)).toEqual(numbers(5));
        expect(await takeAll(dead)).toEqual(numbers(5));
      });

      test('shows a letter as it is, and leaves it', async () => {
        const properties = {
          contentType: 'application/json',
          correlationId: 'c',
          messageId: 'r-1',
          priority: 3,
          timestamp: 1_700_000_000,
          type: 't',
          appId: 'a',
          headers: { 'x-verdict': 'malformed', nested: { list: [1, 'two', null, true] }, bytes: Buffer.from([0, 255]) },
        };
        await layDown('first', [Buffer.from([255, 0]), properties], 'third');
        const letter = (await show(await open(), 2)) as Letter;
        expect(letter).toEqual({ n: 2, body: Buffer.from([255, 0]), properties: { ...properties, deliveryMode: 2 } });
        expect(await ready(dead)).toBe(3);
      });

      test('5,000 letters', async () => {
        await layDown(...numbers(5000));
        const queue = await open();
        expect(await bodies(queue, 5000)).toEqual(numbers(5000));
        expect(await bodies(queue, 2)).toEqual(['1', '2']);
        expect(await ready(dead)).toBe(5000);
      });

      test('says that there is no such letter, of show and drop and replay', async () => {
        await layDown(...numbers(2));
        const queue = await open();
        const missing = { missing: `there is no letter 3: ${dead} holds 2` };
        expect([await show(queue, 3), await drop(queue, 3), await replay(queue, 3)]).toEqual([
          missing,
          missing,
          missing,
        ]);
        expect(await ready(dead)).toBe(2);
      });

      test('without the queue it says what to do', async () => {
        await client.channel.deleteQueue(dead);
        await expect(list(await open(), 1, () => undefined)).rejects.toThrow(
          `there is no queue ${dead} on this broker; npm run topology declares the gateway's queues`,
        );
      });

      test('a letter that another consumer holds does not count', async () => {
        await layDown(...numbers(3));
        const other = await openChannel(url);
        opened.push(other);
        await other.channel.get(dead);
        const queue = await open();
        expect(await bodies(queue)).toEqual(['2', '3']);
      });
    });

    describe('drop', () => {
      test('removes the one letter, and the others keep their places', async () => {
        await layDown(...numbers(4));
        const dropped = (await drop(await open(), 2)) as Letter;
        expect(String(dropped.body)).toBe('2');
        expect(await takeAll(dead)).toEqual(['1', '3', '4']);
      });
    });

    describe('replay', () => {
      test('publishes what the service had sent, and its history, to the queue it came from', async () => {
        const original = `${wsQueue}.original`;
        await declare(original);
        const properties = {
          contentType: 'text/plain',
          correlationId: 'c',
          messageId: 'r-2',
          replyTo: 'somewhere',
          timestamp: 1_700_000_000,
          type: 't',
        };
        const kept = {
          'x-first-seen': '2026-07-01T10:00:00.000Z',
          'x-attempts': 12,
          mine: { list: [1, 'ü', null] },
          bytes: Buffer.from([0, 255]),
        };
        const verdict = { 'x-verdict': 'throttled', 'x-reason': 'why', 'x-original-queue': original };
        await layDown('1', [Buffer.from([255, 0]), { ...properties, headers: { ...kept, ...verdict } }], '3');
        const letter = expect.objectContaining({ n: 2 });
        expect(await replay(await open(), 2)).toEqual({ replayed: 1, remain: 0, letter });

        const message = await take(original);
        expect(message.content).toEqual(Buffer.from([255, 0]));
        const set = Object.entries(message.properties).filter(([, value]) => value !== undefined);
        expect(Object.fromEntries(set)).toEqual({ ...properties, deliveryMode: 2, headers: kept });
        expect(await takeAll(dead)).toEqual(['1', '3']);
      });

      test('takes a letter that the broker dead-lettered itself to the queue where it died', async () => {
        const original = `${wsQueue}.original`;
        await declare(original, { deadLetterExchange: '', arguments: { 'x-dead-letter-routing-key': dead } });
        client.channel.sendToQueue(original, Buffer.from('x'));
        client.channel.reject((await client.channel.get(original)) as GetMessage, false);
        await arrival(dead);
        expect(await replay(await open(), 'all')).toEqual({ replayed: 1, remain: 0 });
        expect(await takeAll(original)).toEqual(['x']);
      });

      test('takes a letter to its own queue alone, where it does not expire', async () => {
        const copies = `${wsQueue}.copies`;
        await declare(copies);
        await layDown(['x', { CC: [copies], expiration: '60000' }]);
        expect(await takeAll(copies)).toEqual(['x']);
        expect(await replay(await open(), 'all')).toEqual({ replayed: 1, remain: 0 });
        expect(await takeAll(copies)).toEqual([]);
        expect((await take(wsQueue)).properties.expiration).toBeUndefined();
      });

      test('takes a letter that does not say where it came from to the queue of replies', async () => {
        await layDown(
          ['a', {}],
          ['b', { headers: { 'x-original-queue': 7 } }],
          ['c', { headers: { 'x-original-queue': dead } }],
        );
        expect(await replay(await open(), 'all')).toEqual({ replayed: 3, remain: 0 });
        expect(await takeAll(wsQueue)).toEqual(['a', 'b', 'c']);
      });

      test.each([
        ['does not exist', 'absent', 'there is no queue absent'],
        ['no queue can have', 'x'.repeat(300), 'This cannot be written as an AMQP message.'],
      ])('stops at a letter whose queue %s, and the letter stays', async (_, original, reason) => {
        await layDown('1', ['2', { messageId: '2', headers: { 'x-original-queue': original } }], '3');
        const queue = await open();
        const at = expect.objectContaining({ n: 2 });
        expect(await replay(queue, 'all')).toEqual({ replayed: 1, remain: 2, stopped: { reason, at } });
        expect(await takeAll(wsQueue)).toEqual(['1']);
        expect(await bodies(queue)).toEqual(['2', '3']);
      });

      test('with --all a letter that comes back is not replayed again', async () => {
        const back = `${wsQueue}.back`;
        await declare(back, {
          messageTtl: 0,
          deadLetterExchange: '',
          arguments: { 'x-dead-letter-routing-key': dead },
        });
        await layDown(
          ...numbers(3).map((n): [string, Options.Publish] => [n, { headers: { 'x-original-queue': back } }]),
        );
        expect(await replay(await open(), 'all')).toEqual({ replayed: 3, remain: 0 });
        await arrival(dead, 3);
        expect((await takeAll(dead)).sort()).toEqual(numbers(3));
      });

      test('takes a letter of 6 MB', async () => {
        const body = randomBytes(6 * 1024 * 1024);
        await layDown([body, { messageId: 'large' }]);
        expect(await replay(await open(), 1)).toMatchObject({ replayed: 1, remain: 0 });
        expect((await take(wsQueue)).content.equals(body)).toBe(true);
      });

      test('a letter whose connection is lost before its acknowledgement is in both queues, and named', async () => {
        await layDown(...numbers(3));
        const path = await wire();
        const queue = withPublisher(await open({ url: path.url }), async (publish) => {
          await publish();
          if ((await ready(wsQueue)) === 2) path.reset();
        });
        const outcome = await replay(queue, 'all');
        expect(outcome).toMatchObject({
          stopped: { reason: expect.stringMatching(/^the connection to the broker was lost: /) },
          twice: { n: 2, properties: { messageId: '2' } },
        });
        await arrival(dead, 2);
        expect(await takeAll(wsQueue)).toEqual(['1', '2']);
        expect(await takeAll(dead)).toEqual(['2', '3']);
      });

      test('told to stop, it ends after the letter in hand', async () => {
        await layDown(...numbers(5));
        const interrupt = new AbortController();
        let published = 0;
        const queue = withPublisher(await open({ signal: interrupt.signal }), async (publish) => {
          await publish();
          published += 1;
          if (published === 2) interrupt.abort();
        });
        expect(await replay(queue, 'all')).toEqual({ replayed: 2, remain: 3, stopped: { reason: 'interrupted' } });
        expect(await takeAll(wsQueue)).toEqual(['1', '2']);
        expect(await takeAll(dead)).toEqual(['3', '4', '5']);
      });

      test('says so when somebody else takes the letters meanwhile', async () => {
        await layDown(...numbers(3));
        const queue = withPublisher(await open(), async (publish) => {
          await takeAll(dead);
          await publish();
        });
        expect(await replay(queue, 'all')).toEqual({
          replayed: 1,
          remain: 2,
          stopped: { reason: 'somebody else has taken the others meanwhile' },
        });
      });

      test('two operators at once replay every letter once', async () => {
        await layDown(...numbers(40));
        const outcomes = await Promise.all([replay(await open(), 'all'), replay(await open(), 'all')]);
        expect(outcomes).toEqual(outcomes.map(() => expect.objectContaining({ replayed: expect.any(Number) })));
        const byNumber = (a: string, b: string) => Number(a) - Number(b);
        expect((await takeAll(wsQueue)).sort(byNumber)).toEqual(numbers(40));
      });
    });

    test('a connection that is lost during a look costs no letter', async () => {
      await layDown(...numbers(3));
      const path = await wire();
      const queue = await open({ url: path.url });
      await expect(list(queue, 3, () => path.reset())).rejects.toThrow(/^the connection to the broker was lost: /);
      await arrival(dead, 3);
      expect(await takeAll(dead)).toEqual(numbers(3));
    });

    describe('in a quorum queue, which counts returns and drops what came back too often', () => {
      beforeEach(() => declareQuorum(2));

      test('letters may be looked at as often as one likes, and keep their places', async () => {
        await layDown(...numbers(5));
        const queue = await open();
        for (let times = 0; times < 6; times += 1) {
          expect(await bodies(queue, 2)).toEqual(['1', '2']);
          expect(((await show(queue, 4)) as Letter).properties.messageId).toBe('4');
          expect(await drop(queue, 6)).toEqual({ missing: `there is no letter 6: ${dead} holds 5` });
        }
        expect(await bodies(queue)).toEqual(numbers(5));
      });

      test('a letter laid down anew is as it was, and was never returned', async () => {
        const headers = { 'x-verdict': 'throttled', mine: { a: [1] } };
        await layDown(['x', { messageId: 'm', correlationId: 'c', headers }]);
        const queue = await open();
        for (let times = 0; times < 3; times += 1) await bodies(queue);
        expect(await show(queue, 1)).toEqual({
          n: 1,
          body: Buffer.from('x'),
          properties: { messageId: 'm', correlationId: 'c', deliveryMode: 2, headers },
        });
        // A consumer is told of returns only once there were any.
        const next = await reader(client.channel, dead);
        expect((await next()).properties.headers).not.toHaveProperty('x-delivery-count');
      });

      test('a letter leaves by drop and replay, without a trace of the looks, and the others keep their places', async () => {
        await layDown(...numbers(5));
        const queue = await open();
        await bodies(queue);
        expect(((await drop(queue, 2)) as Letter).properties.messageId).toBe('2');
        expect(await replay(queue, 3)).toMatchObject({ replayed: 1, remain: 0 });
        expect(await bodies(queue)).toEqual(['1', '3', '5']);
        const message = await take(wsQueue);
        expect([String(message.content), message.properties.headers]).toEqual(['4', {}]);
      });

      test('a letter that cannot be replayed stays, however often it is tried', async () => {
        await layDown('1', ['2', { headers: { 'x-original-queue': 'absent' } }], '3');
        const queue = await open();
        expect(await replay(queue, 'all')).toMatchObject({ replayed: 1, remain: 2 });
        for (let times = 0; times < 5; times += 1) {
          expect(await replay(queue, 'all')).toMatchObject({ replayed: 0, remain: 2 });
        }
        expect(await bodies(queue)).toEqual(['2', '3']);
      });

      test('does not take its own copy for the letter that somebody else has taken', async () => {
        await layDown(...numbers(3));
        let taken: string[] | undefined;
        const queue = withPublisher(await open(), async (publish) => {
          taken ??= [await take(dead), await take(dead)].map(({ content }) => String(content));
          await publish();
        });
        expect(await drop(queue, 2)).toEqual({ missing: 'somebody else has taken letter 2 meanwhile' });
        expect(taken).toEqual(['2', '3']);
        expect(await takeAll(dead)).toEqual(['1']);
      });

      test('a letter whose connection is lost between its copy and its acknowledgement is there twice, and named', async () => {
        await layDown(...numbers(3));
        const path = await wire();
        let published = 0;
        const queue = withPublisher(await open({ url: path.url }), async (publish) => {
          await publish();
          published += 1;
          if (published === 2) path.reset();
        });
        await expect(show(queue, 1)).rejects.toMatchObject({
          message: expect.stringMatching(/^the connection to the broker was lost: /),
          inHand: { n: 2, properties: { messageId: '2' } },
        });
        await arrival(dead, 4);
        expect(await takeAll(dead)).toEqual(['2', '3', '1', '2']);
      });

      test('a copy that cannot be laid down leaves the letter where it is', async () => {
        await layDown(...numbers(2));
        const queue = withPublisher(await open(), async () => {
          throw new Error('no');
        });
        await expect(bodies(queue)).rejects.toThrow(/^letter 1 could not be laid down anew, .*: no$/);
        await queue.connection.close();
        await arrival(dead, 2);
        expect(await bodies(await open())).toEqual(numbers(2));
      });
    });

    test('a classic queue with a letter that claims to be counted loses none', async () => {
      await layDown('1', ['2', { headers: { 'x-delivery-count': 99 } }], '3');
      const queue = await open();
      await bodies(queue);
      expect((await bodies(queue)).sort()).toEqual(numbers(3));
    });

    describe('on the command line', () => {
      const hostile: [string, Options.Publish] = [
        '{"text":"ü\\n"}\nsecond\tline',
        {
          messageId: 'r\u009b-1',
          headers: {
            'x-first-seen': '2026-07-01T10:00:00.000Z',
            'x-verdict': 'malformed',
            'x-reason': `\u001b[2J\u202e${'long '.repeat(20)}`,
            'x-attempts': 3,
            '\u0007name': { deep: '\u001b]0;title\u0007' },
          },
        },
      ];

      test('list is a table of printable text, without bodies', async () => {
        await layDown(hostile, ['secret', {}], '3');
        const { code, stdout, stderr } = await run(['list', '--limit', '2']).exit;
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const lines = stdout.split('\n');
        expect(lines.map((line) => line.split(/ {2,}/))).toEqual([
          ['n', 'first seen', 'verdict', 'reason', 'attempts', 'original queue', 'messageId', 'bytes'],
          [
            '1',
            '2026-07-01T10:00:00.000Z',
            'malformed',
            `\\u{1b}[2J\\u{202e}${'long '.repeat(20)}`.slice(0, 59).concat('…'),
            '3',
            wsQueue,
            'r\\u{9b}-1',
            '27',
          ],
          ['2', '-', '-', '-', '-', wsQueue, '-', '6'],
          ['2 of 3 shown.'],
          [''],
        ]);
        // Columns stand below each other.
        expect(new Set(lines.slice(0, 3).map((line) => line.lastIndexOf(' ')))).toHaveProperty('size', 1);
      });

      test('columns stand below each other whatever planes their characters are of', async () => {
        const emoji = '😀'.repeat(12);
        await layDown(['1', { messageId: emoji }], ['2', { messageId: 'm' }]);
        const { stdout } = await run(['list']).exit;
        const rows = stdout.split('\n').slice(0, 3);
        expect(rows[1]).toContain(`  ${emoji}  1`);
        expect(new Set(rows.map((row) => [...row].lastIndexOf(' ')))).toHaveProperty('size', 1);
      });

      test('list --json is exact, and sends no control character raw either', async () => {
        await layDown(hostile);
        const { code, stdout } = await run(['list', '--json']).exit;
        expect(stdout.trimEnd()).not.toMatch(/\p{C}/u);
        const { 'x-reason': reason } = hostile[1].headers;
        expect({ code, ...JSON.parse(stdout) }).toEqual({
          code: 0,
          queue: dead,
          total: 1,
          letters: [
            {
              n: 1,
              firstSeen: '2026-07-01T10:00:00.000Z',
              verdict: 'malformed',
              reason,
              attempts: 3,
              originalQueue: wsQueue,
              messageId: 'r\u009b-1',
              bytes: 27,
            },
          ],
        });
      });

      test('show tells a text as it is, and other bytes in base64', async () => {
        await layDown(hostile, [Buffer.from([27, 91, 255]), { headers: { bytes: Buffer.from([1, 2]) } }]);
        const text = await run(['show', '1']).exit;
        const bytes = await run(['show', '2']).exit;
        const json = await run(['show', '2', '--json']).exit;
        expect([text.code, bytes.code, json.code]).toEqual([0, 0, 0]);
        expect(text.stdout).toContain('\nheaders\n  x-first-seen: ');
        expect(text.stdout).toContain('messageId: r\\u{9b}-1\n');
        expect(text.stdout).toContain('  \\u{7}name: {"deep":"\\u001b]0;title\\u0007"}\n');
        expect(text.stdout.endsWith('body, 27 bytes:\n{"text":"ü\\n"}\nsecond\tline\n')).toBe(true);
        expect(bytes.stdout.endsWith('body, 3 bytes that are no printable text, in base64:\nG1v/\n')).toBe(true);
        expect(JSON.parse(json.stdout)).toEqual({
          queue: dead,
          n: 2,
          properties: { deliveryMode: 2, headers: { bytes: { base64: 'AQI=' } } },
          bytes: 3,
          encoding: 'base64',
          body: 'G1v/',
        });
      });

      test('show has no heading for headers that a letter does not have', async () => {
        await layDown(['x', { messageId: 'm' }]);
        expect((await run(['show', '1']).exit).stdout).toBe(
          `Letter 1 of ${dead}\ndeliveryMode: 2\nmessageId: m\nbody, 1 bytes:\nx\n`,
        );
      });

      test('drop tells what it dropped; an empty queue and an absent letter are told too', async () => {
        await layDown(['x', { messageId: 'm', headers: { 'x-verdict': 'forbidden', 'x-reason': 'why' } }]);
        expect(await run(['drop', '1']).exit).toEqual({
          code: 0,
          stdout: 'Dropped letter 1 (messageId m), verdict forbidden, reason: why\n',
          stderr: '',
        });
        expect(await run(['list']).exit).toEqual({ code: 0, stdout: `${dead} is empty.\n`, stderr: '' });
        expect(await run(['drop', '1', '--json']).exit).toEqual({
          code: 1,
          stdout: '',
          stderr: `there is no letter 1: ${dead} holds 0\n`,
        });
      });

      test('replay tells in one line what became of the letters, and ends with 1 if some remain', async () => {
        await layDown('1', ['2', { messageId: 'm', headers: { 'x-original-queue': 'absent' } }], '3');
        expect(await run(['replay', '--all']).exit).toEqual({
          code: 1,
          stdout: '',
          stderr: 'Replayed 1 of 3. Stopped at letter 2 (messageId m): there is no queue absent.\n',
        });
        const json = await run(['replay', '--all', '--json']).exit;
        expect({ code: json.code, ...JSON.parse(json.stdout) }).toEqual({
          code: 1,
          queue: dead,
          replayed: 0,
          remain: 2,
          stopped: { reason: 'there is no queue absent', at: { n: 1, messageId: 'm' } },
          twice: null,
        });
        expect(await run(['replay', '1']).exit).toEqual({
          code: 1,
          stdout: '',
          stderr: 'Replayed 0 of 1. Stopped at letter 1 (messageId m): there is no queue absent.\n',
        });
        expect(await run(['replay', '2']).exit).toEqual({
          code: 0,
          stdout: `Replayed letter 2 (messageId 3) to ${wsQueue}.\n`,
          stderr: '',
        });
        await drop(await open(), 1);
        await layDown('4', '5');
        expect(await run(['replay', '--all']).exit).toEqual({ code: 0, stdout: 'Replayed 2 of 2.\n', stderr: '' });
      });

      test('Ctrl-C in the midst of a replay loses nothing, and tells how far it came', async () => {
        await layDown(...numbers(200));
        const path = await wire();
        path.disturb({ latencyMs: 5 }, { future: true });
        const { child, exit } = run(['replay', '--all'], { AMQP_URL: path.url });
        await arrival(wsQueue, 3);
        child.kill('SIGINT');
        const { code, stderr } = await exit;
        expect(code).toBe(1);
        const [, replayed] = /^Replayed (\d+) of 200\. Stopped: interrupted\.\n$/.exec(stderr) ?? [];
        expect([...(await takeAll(wsQueue)), ...(await takeAll(dead))]).toEqual(numbers(200));
        expect(Number(replayed)).toBeGreaterThanOrEqual(3);
      });

      test('a process that is killed in the midst of a replay loses nothing', async () => {
        await layDown(...numbers(200));
        const path = await wire();
        path.disturb({ latencyMs: 5 }, { future: true });
        const { child, exit } = run(['replay', '--all'], { AMQP_URL: path.url });
        await arrival(wsQueue, 3);
        child.kill('SIGKILL');
        await exit;
        const replayed = await takeAll(wsQueue);
        // One may have been published and not acknowledged.
        await arrival(dead, 200 - replayed.length);
        expect(new Set([...replayed, ...(await takeAll(dead))])).toEqual(new Set(numbers(200)));
      });

      test('a broker that is not there, or does not let it in, is told in one line without the password', async () => {
        const gone = await startBroker({ port: 0 });
        await gone.close();
        const wrong = new URL(url);
        wrong.password = 'hunter2';
        const absent = new URL(gone.url);
        absent.password = 'hunter2';
        const results = await Promise.all([
          run(['list'], { AMQP_URL: absent.href }).exit,
          run(['list'], { AMQP_URL: wrong.href }).exit,
          run(['list'], { AMQP_URL: 'http://guest:hunter2@localhost' }).exit,
          run(['list'], { AMQP_URL: '' }).exit,
        ]);
        expect(results).toEqual(results.map(() => ({ code: 1, stdout: '', stderr: expect.stringMatching(/^.+\n$/) })));
        expect(results.map(({ stderr }) => stderr)).toEqual([
          `the broker of AMQP_URL cannot be reached: connect ECONNREFUSED ${absent.host}\n`,
          'the broker of AMQP_URL refuses this user and password\n',
          expect.stringMatching(/^Configuration: AMQP_URL is not valid; it should be amqps:/),
          expect.stringMatching(/^Configuration: AMQP_URL is not set; it should be amqps:/),
        ]);
        expect(JSON.stringify(results)).not.toContain('hunter2');
      });

      test('wrong usage is told in one line, and --help tells it all', async () => {
        const wrong = [[], ['purge'], ['show', '0'], ['replay'], ['replay', '1', '--all'], ['list', '--lmit', '3']];
        const [helped, ...refused] = await Promise.all([['--help'], ...wrong].map((args) => run(args).exit));
        expect(helped).toMatchObject({ code: 0, stderr: '' });
        for (const word of ['list', 'show <n>', 'replay <n> | --all', 'drop <n>', '--limit', '--json']) {
          expect(helped?.stdout).toContain(word);
        }
        const told = [
          'say what to do: list, show, replay or drop',
          "say what to do: list, show, replay or drop, not 'purge'",
          "'0' is no whole number from 1; usage: show <n>",
          'usage: replay <n> | --all',
          'usage: replay <n> | --all',
          "Unknown option '--lmit'",
        ];
        expect(refused).toEqual(
          told.map((line) => ({ code: 2, stdout: '', stderr: `${line} (npm run dead-letters -- --help)\n` })),
        );
      });
    });

    async function arrival(queue: string, count = 1): Promise<void> {
      const patienceEnds = Date.now() + 10_000;
      while ((await ready(queue)) < count) {
        if (Date.now() > patienceEnds) throw new Error(`${queue} has not got ${count} messages`);
      }
    }
  });
}
