import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { deleteQueues, openChannel, queueNames, reader } from '../helpers/amqp';
import { Client } from '../helpers/client';
import { type Stack, startStack } from '../helpers/stack';

/** Properties of a reply that a service would hardly send. */
interface Odd {
  headers?: Record<string, unknown>;
  timestamp?: number;
  CC?: string[];
}

/**
 * The running stack, by real WebSockets, with the example worker behind it.
 * @param env of the stack: with AMQP_URL on that broker, else on the embedded one.
 */
export function describeGateway(name: string, env: Record<string, string>): void {
  describe(`the gateway on ${name}`, () => {
    const queues = queueNames();
    const clients: Client[] = [];
    let stack: Stack;

    beforeAll(async () => {
      stack = await startStack({ ...env, ...queues.env });
    }, 90_000);

    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()));
    });

    afterAll(async () => {
      if (env.AMQP_URL) await deleteQueues(env.AMQP_URL, queues.apiQueue, queues.wsQueue, `${queues.wsQueue}.dead`);
      await stack?.stop();
    }, 30_000);

    async function connect(): Promise<Client> {
      const client = await Client.open(stack.webSocketUrl);
      clients.push(client);
      return client;
    }

    test('acknowledges a message and delivers the reply', async () => {
      const client = await connect();
      client.send({ action: 'send', id: '1', data: { prompt: 'hello' } });
      // In whichever order: RabbitMQ may confirm a message after a service has answered it.
      const acked = await client.find(({ event }) => event === 'ack');
      expect(acked).toEqual({ event: 'ack', id: '1', messageId: expect.any(String) });
      expect(await client.find(({ event }) => event === 'recv')).toEqual({
        event: 'recv',
        id: '1',
        messageId: expect.any(String),
        traceparent: expect.any(String),
        data: { prompt: 'hello', answer: expect.stringContaining('hello') },
      });
    });

    test('takes the trace of a message to the service and back, and begins one where there is none', async () => {
      const client = await connect();
      const trace = '0af7651916cd43dd8448eb211c80319c';
      client.send({ action: 'send', id: '1', data: {}, traceparent: `00-${trace}-b7ad6b7169203331-00` });
      client.send({ action: 'send', id: '2', data: {} });
      const ofReply = async (id: string) => (await client.find((f) => f.event === 'recv' && f.id === id)).traceparent;
      const { messageId } = await client.find((f) => f.event === 'ack' && f.id === '2');
      expect(await ofReply('1')).toMatch(new RegExp(`^00-${trace}-(?!b7ad6b7169203331)[\\da-f]{16}-00$`));
      expect(await ofReply('2')).toMatch(new RegExp(`^00-${messageId.replaceAll('-', '')}-[\\da-f]{16}-01$`));
    });

    test('needs no id, and then gives none', async () => {
      const client = await connect();
      client.send({ action: 'send', data: { prompt: 'hello' } });
      const keysOf = async (name: string) => Object.keys(await client.find(({ event }) => event === name));
      expect(await keysOf('ack')).toEqual(['event', 'messageId']);
      expect(await keysOf('recv')).toEqual(['event', 'messageId', 'traceparent', 'data']);
    });

    test('answers a ping', async () => {
      const client = await connect();
      client.send({ action: 'ping' });
      expect(await client.next()).toEqual({ event: 'pong' });
    });

    test.each([
      ['bad JSON', 'rubbish', null, 'bad_frame'],
      ['a frame that is no object', '[1]', null, 'bad_frame'],
      ['no action', '{"id":"1"}', '1', 'unknown_action'],
      ['an action that is null', '{"id":"1","action":null}', '1', 'unknown_action'],
      ['an unknown action', '{"id":"1","action":"fly"}', '1', 'unknown_action'],
      ['the action $disconnect', '{"id":"1","action":"$disconnect"}', '1', 'unknown_action'],
      ['the action $connect', '{"id":"1","action":"$connect"}', '1', 'unknown_action'],
      ['the action $default', '{"id":"1","action":"$default"}', '1', 'unknown_action'],
      ['data that is no object', '{"id":"1","action":"send","data":[1]}', '1', 'invalid_message'],
      ['no data', '{"id":"1","action":"send"}', '1', 'invalid_message'],
      ['an id that is too long', `{"id":"${'x'.repeat(65)}","action":"send","data":{}}`, null, 'bad_frame'],
      ['a message above 128 KB', `{"id":"1","action":"send","data":{"a":"${'x'.repeat(131_072)}"}}`, null, 'too_large'],
    ])('explains %s, and the connection lives on', async (_, frame, id, code) => {
      const client = await connect();
      client.send(frame);
      const message = expect.stringMatching(/\S/);
      expect(await client.next()).toEqual({ event: 'error', id, code, message, retryable: false });
      client.send({ action: 'ping', id: 'after' });
      expect(await client.next()).toEqual({ event: 'pong', id: 'after' });
    });

    test('refuses a binary frame', async () => {
      const client = await connect();
      client.socket.send(Buffer.from('{"action":"send","data":{}}'));
      expect(await client.next()).toMatchObject({ event: 'error', code: 'bad_frame' });
    });

    test.each([
      ['text that is not UTF-8', [0x81, 0x83, 0, 0, 0, 0, 0xff, 0xfe, 0x80]],
      ['a frame without a mask', [0x81, 0x02, 0x41, 0x42]],
      ['a frame of 4 GB', [0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
    ])('survives %s', async (_, bytes) => {
      const hostile = await connect();
      // Past the client library, on its TCP socket.
      (hostile.socket as unknown as { _socket: Socket })._socket.write(Buffer.from(bytes));
      await hostile.closed;
      const client = await connect();
      client.send({ action: 'ping' });
      expect(await client.next()).toEqual({ event: 'pong' });
    });

    test('gives each of 50 clients its own replies and none of another’s', async () => {
      const all = await Promise.all(Array.from({ length: 50 }, connect));
      await Promise.all(
        all.map(async (client, n) => {
          for (const id of ['1', '2', '3']) client.send({ action: 'send', id, data: { prompt: `${n}/${id}` } });
          for (const id of ['1', '2', '3']) await client.find((f) => f.event === 'recv' && f.id === id, 20_000);
        }),
      );
      for (const [n, client] of all.entries()) {
        const prompts = client.frames.filter((f) => f.event === 'recv').map((f) => f.data.prompt);
        expect(prompts).toEqual(['1', '2', '3'].map((id) => `${n}/${id}`));
      }
    });

    test('goes on when a client leaves before its reply', async () => {
      const leaving = await connect();
      leaving.send({ action: 'send', id: '1', data: { prompt: 'too late' } });
      leaving.socket.terminate();
      const staying = await connect();
      staying.send({ action: 'send', id: '1', data: { prompt: 'still here' } });
      expect(await staying.find((f) => f.event === 'recv')).toMatchObject({ data: { prompt: 'still here' } });
    });

    test('dead-letters a reply that nobody can get, with its reason', async () => {
      const { channel, close } = await openChannel(stack.amqpUrl);
      const nextDead = await reader(channel, `${queues.wsQueue}.dead`);
      channel.sendToQueue(queues.wsQueue, Buffer.from('{"poison"'), {
        messageId: 'p-1',
        headers: { mine: 'ü' },
      });
      const { content, properties } = await nextDead();
      expect(String(content)).toBe('{"poison"');
      expect(properties.messageId).toBe('p-1');
      expect(properties.headers).toMatchObject({
        mine: 'ü',
        'x-verdict': 'malformed',
        'x-reason': expect.stringContaining('correlationId'),
        'x-original-queue': queues.wsQueue,
      });
      await close();
    });

    test.each([
      ['a header that looks like a field type', { headers: { odd: { '!': 'int', value: 'abc' } } }],
      ['a time beyond all calendars', { timestamp: 1_700_000_000_000_000 }],
      ['a copy to the reply queue', { CC: ['%ws'] }],
    ])('is not held up by a malformed reply with %s', async (_, odd: Odd) => {
      const { channel, close } = await openChannel(stack.amqpUrl);
      const nextDead = await reader(channel, `${queues.wsQueue}.dead`);
      const { headers, CC, ...properties } = odd;
      const cc = CC === undefined ? {} : { CC: CC.map((queue) => queue.replace('%ws', queues.wsQueue)) };
      // The copy goes to the reply queue by its header alone.
      const to = CC === undefined ? queues.wsQueue : '';
      channel.publish('', to, Buffer.from('?'), { ...properties, headers: { ...headers, ...cc } });
      expect((await nextDead()).properties.headers?.['x-verdict']).toBe('malformed');
      const client = await connect();
      client.send({ action: 'send', id: '1', data: { prompt: 'hello' } });
      await client.find((f) => f.event === 'recv');
      expect((await channel.checkQueue(queues.wsQueue)).messageCount).toBe(0);
      await close();
    });

    test('goes on when the example worker is asked to answer to a queue that is gone', async () => {
      const { channel, close } = await openChannel(stack.amqpUrl);
      const orphan = JSON.stringify({ pattern: { cmd: 'send' }, data: { prompt: 'x' } });
      channel.sendToQueue(queues.apiQueue, Buffer.from(orphan), { replyTo: `${queues.wsQueue}.gone` });
      const client = await connect();
      client.send({ action: 'send', id: '1', data: { prompt: 'hello' } });
      expect(await client.find((f) => f.event === 'recv')).toMatchObject({ id: '1' });
      await close();
    });

    test('does not let a service’s event pass for the gateway’s own', async () => {
      const { channel, close } = await openChannel(stack.amqpUrl);
      const nextDead = await reader(channel, `${queues.wsQueue}.dead`);
      const forged = { pattern: { cmd: 'ack' }, data: { metadata: { socket_id: 'any' } } };
      channel.sendToQueue(queues.wsQueue, Buffer.from(JSON.stringify(forged)));
      expect((await nextDead()).properties.headers?.['x-reason']).toContain('"ack"');
      await close();
    });

    test('tells truly that a message was not taken when its queue is missing', async () => {
      const { channel, close } = await openChannel(stack.amqpUrl);
      await channel.deleteQueue(queues.apiQueue);
      const client = await connect();
      client.send({ action: 'send', id: '1', data: { prompt: 'hello' } });
      expect(await client.next()).toMatchObject({
        event: 'error',
        id: '1',
        code: 'unroutable',
        retryable: true,
      });
      await channel.assertQueue(queues.apiQueue, { durable: true });
      client.send({ action: 'send', id: '2', data: { prompt: 'again' } });
      expect(await client.find((f) => f.event === 'recv', 20_000)).toMatchObject({ id: '2' });
      await close();
    });

    test('loses nothing and shows no error when 100 clients send 20 messages each, one after the other', async () => {
      const all = await Promise.all(Array.from({ length: 100 }, connect));
      await Promise.all(
        all.map(async (client) => {
          for (let n = 0; n < 20; n += 1) {
            client.send({ action: 'send', id: String(n), data: { prompt: `message ${n}` } });
            await client.find((f) => f.event === 'recv' && f.id === String(n), 60_000);
          }
        }),
      );
      const events = all.flatMap(({ frames }) => frames.map(({ event }) => event));
      expect(events.filter((event) => event === 'ack')).toHaveLength(2000);
      expect(events.filter((event) => event === 'recv')).toHaveLength(2000);
      expect(events.filter((event) => event === 'error')).toEqual([]);
    }, 120_000);
  });
}
