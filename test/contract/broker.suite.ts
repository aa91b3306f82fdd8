import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from '@jest/globals';
import {
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  connect,
  type GetMessage,
  type Options,
} from 'amqplib';

/**
 * What a client may rely on, whichever broker answers: every test here passes against RabbitMQ and against
 * the embedded broker. Tests use queues and exchanges of their own and leave nothing behind.
 */

export function describeBroker(name: string, url: () => string): void {
  describe(name, () => {
    const cleanups: (() => Promise<unknown>)[] = [];

    afterEach(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup().catch(() => undefined);
    });

    /** A connection that is closed after the test; its errors land in `errors`. */
    async function dial(): Promise<{ connection: ChannelModel; errors: AmqpFailure[] }> {
      const connection = await connect(url(), { noDelay: true });
      const errors: AmqpFailure[] = [];
      connection.on('error', (error: AmqpFailure) => errors.push(error));
      cleanups.push(() => connection.close());
      return { connection, errors };
    }

    async function open(): Promise<{
      connection: ChannelModel;
      channel: ConfirmChannel;
      errors: AmqpFailure[];
    }> {
      const { connection, errors } = await dial();
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => undefined);
      return { connection, channel, errors };
    }

    async function queue(channel: Channel, options: Options.AssertQueue = {}): Promise<string> {
      const declared = await channel.assertQueue(unique(), { exclusive: true, ...options });
      return declared.queue;
    }

    /** An exchange that is deleted after the test, over a connection of its own: the test may have lost its. */
    async function exchange(channel: Channel, type: string, options: Options.AssertExchange = {}): Promise<string> {
      const declared = unique();
      await channel.assertExchange(declared, type, { durable: false, ...options });
      cleanups.push(async () => {
        const { channel: cleaner } = await open();
        await cleaner.deleteExchange(declared);
      });
      return declared;
    }

    /** A queue whose dead letters come to a second one. */
    async function mortal(channel: Channel, args: object = {}): Promise<{ source: string; dead: string }> {
      const dead = await queue(channel);
      const deadLettering = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead };
      const source = await queue(channel, { arguments: { ...deadLettering, ...args } });
      return { source, dead };
    }

    describe('connections', () => {
      test('a client learns that it talks to RabbitMQ and what it can do', async () => {
        const { connection } = await dial();
        const { serverProperties } = connection.connection;
        expect(serverProperties).toMatchObject({
          product: 'RabbitMQ',
          capabilities: { publisher_confirms: true, 'basic.nack': true, consumer_cancel_notify: true },
        });
      });

      test('a wrong password is refused with 403', async () => {
        const wrong = new URL(url());
        wrong.password = 'wrong';
        await expect(connect(wrong.href)).rejects.toThrow(
          /403 \(ACCESS.REFUSED\).*Login was refused using authentication mechanism PLAIN/,
        );
      });

      test('an unknown virtual host is refused', async () => {
        // amqplib tells no more than that the server closed; the code is in the broker's own tests.
        await expect(connect(`${url()}/nowhere`)).rejects.toThrow('ConnectionClose');
      });

      test('a channel number is used again after its channel closed', async () => {
        const { connection } = await dial();
        const first = await connection.createChannel();
        await first.close();
        const second = await connection.createChannel();
        expect(await second.checkExchange('amq.direct')).toEqual({});
      });

      test('exclusive queues go when their connection closes', async () => {
        const { connection, channel } = await open();
        const name = await queue(channel);
        await connection.close();
        const { channel: other } = await open();
        await expect(other.checkQueue(name)).rejects.toMatchObject(notFoundQueue(name));
      });

      test('what was not acknowledged comes back, marked, when the connection ends', async () => {
        const { channel } = await open();
        const name = await queue(channel, { exclusive: false, autoDelete: false });
        cleanups.push(() => channel.deleteQueue(name));
        await publish(channel, name, 'a');
        const { connection: dying, channel: doomed } = await open();
        expect(text(await got(doomed, name, false))).toBe('a');
        await dying.close();
        const back = await eventually(() => channel.get(name));
        expect([text(back), back.fields.redelivered]).toEqual(['a', true]);
      });

      test('what was not acknowledged comes back when the channel closes', async () => {
        const { connection, channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b');
        const doomed = await connection.createChannel();
        await doomed.get(name);
        await doomed.close();
        const back = [await eventually(() => channel.get(name)), await eventually(() => channel.get(name))];
        expect(back.map((message) => [text(message), message.fields.redelivered])).toEqual([
          ['a', true],
          ['b', false],
        ]);
      });

      test('messages larger than a frame arrive whole', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const body = randomBytes(300_000);
        await publish(channel, name, body);
        expect(body.equals((await got(channel, name)).content)).toBe(true);
      });

      test('a switched-off flow is not implemented and costs the connection', async () => {
        const { channel, errors } = await open();
        await expect(rpc(channel, CHANNEL_FLOW, { active: false })).rejects.toThrow();
        expect(await eventually(() => errors[0])).toMatchObject({ code: 540 });
      });
    });

    describe('exchanges', () => {
      test('a missing exchange is 404 and closes the channel', async () => {
        const { channel } = await open();
        await expect(channel.checkExchange('missing')).rejects.toMatchObject({
          code: 404,
          message: expect.stringContaining("NOT_FOUND - no exchange 'missing' in vhost '/'"),
        });
        await expect(channel.checkExchange('amq.direct')).rejects.toThrow('Channel closed');
      });

      test('declaring one again with another type is 406', async () => {
        const { channel } = await open();
        const name = await exchange(channel, 'direct');
        await expect(channel.assertExchange(name, 'fanout', { durable: false })).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(
            `PRECONDITION_FAILED - inequivalent arg 'type' for exchange '${name}' in vhost '/': received 'fanout' but current is 'direct'`,
          ),
        });
      });

      test('an unknown type is 503 and costs the connection', async () => {
        const { channel, errors } = await open();
        await expect(channel.assertExchange(unique(), 'bogus')).rejects.toThrow();
        expect(await eventually(() => errors[0])).toMatchObject({
          code: 503,
          message: expect.stringContaining("COMMAND_INVALID - unknown exchange type 'bogus'"),
        });
      });

      test('names that begin with amq. are reserved', async () => {
        const { channel } = await open();
        await expect(channel.assertExchange('amq.mine', 'direct')).rejects.toMatchObject({
          code: 403,
          message: expect.stringContaining(
            "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
          ),
        });
      });

      test('the default exchange cannot be bound to', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await expect(channel.bindQueue(name, '', 'key')).rejects.toMatchObject({
          code: 403,
          message: expect.stringContaining('ACCESS_REFUSED - operation not permitted on the default exchange'),
        });
      });

      test('an exchange in use is not deleted if-unused', async () => {
        const { channel } = await open();
        const [name, bound] = [await exchange(channel, 'fanout'), await queue(channel)];
        await channel.bindQueue(bound, name, '');
        await expect(channel.deleteExchange(name, { ifUnused: true })).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(`PRECONDITION_FAILED - exchange '${name}' in vhost '/' in use`),
        });
      });

      test('an auto-delete exchange goes with its last binding', async () => {
        const { channel } = await open();
        const [name, bound] = [await exchange(channel, 'fanout', { autoDelete: true }), await queue(channel)];
        await channel.bindQueue(bound, name, '');
        await channel.unbindQueue(bound, name, '');
        await expect(channel.checkExchange(name)).rejects.toMatchObject({ code: 404 });
      });

      test('nobody publishes to an internal exchange', async () => {
        const { channel } = await open();
        const name = await exchange(channel, 'fanout', { internal: true });
        const failure = channelFailure(channel);
        channel.publish(name, '', Buffer.from('a'));
        expect(await failure).toMatchObject({
          code: 403,
          message: expect.stringContaining(`cannot publish to internal exchange '${name}' in vhost '/'`),
        });
      });
    });

    describe('routing', () => {
      async function routed(type: string, bindings: [key: string, args?: object][], messages: Sent[]) {
        const { channel } = await open();
        const [name, bound] = [await exchange(channel, type), await queue(channel)];
        for (const [key, args] of bindings) await channel.bindQueue(bound, name, key, args);
        for (const { key = '', body, headers } of messages) channel.publish(name, key, Buffer.from(body), { headers });
        await channel.waitForConfirms();
        return drain(channel, bound);
      }

      test('a direct exchange goes by the exact key, and to a queue once however many bindings match', async () => {
        const sent = [
          { key: 'a', body: '1' },
          { key: 'A', body: '2' },
          { key: 'b', body: '3' },
        ];
        expect(await routed('direct', [['a'], ['b'], ['a', { another: 1 }]], sent)).toEqual(['1', '3']);
      });

      test('a fanout exchange ignores the key', async () => {
        expect(await routed('fanout', [['x']], [{ key: 'y', body: '1' }])).toEqual(['1']);
      });

      test('a topic exchange takes * for one word and # for any number', async () => {
        const sent = ['a.b', 'a', 'a.b.c', 'x', '', 'q.z', 'z'].map((key) => ({ key, body: key }));
        expect(await routed('topic', [['a.*'], ['#.z']], sent)).toEqual(['a.b', 'q.z', 'z']);
        expect(await routed('topic', [['a.#']], sent)).toEqual(['a.b', 'a', 'a.b.c']);
        expect(await routed('topic', [['#.b.#']], sent)).toEqual(['a.b', 'a.b.c']);
      });

      test('a headers exchange matches all or any of the arguments', async () => {
        const sent = [
          { body: 'both', headers: { a: 1, b: 'x' } },
          { body: 'one', headers: { a: 1 } },
          { body: 'none', headers: { a: 2 } },
        ];
        expect(await routed('headers', [['', { 'x-match': 'all', a: 1, b: 'x' }]], sent)).toEqual(['both']);
        expect(await routed('headers', [['', { 'x-match': 'any', a: 1, b: 'x' }]], sent)).toEqual(['both', 'one']);
      });

      test('a headers exchange looks at x- headers only when asked to', async () => {
        const sent = [
          { body: 'with', headers: { a: 1, 'x-b': 2 } },
          { body: 'without', headers: { a: 1 } },
        ];
        expect(await routed('headers', [['', { 'x-match': 'all', a: 1, 'x-b': 2 }]], sent)).toEqual([
          'with',
          'without',
        ]);
        expect(await routed('headers', [['', { 'x-match': 'all-with-x', a: 1, 'x-b': 2 }]], sent)).toEqual(['with']);
      });

      test('a header that is asked for without a value need only be there', async () => {
        const sent = [
          { body: 'there', headers: { a: 'anything' } },
          { body: 'absent', headers: {} },
        ];
        expect(await routed('headers', [['', { a: null }]], sent)).toEqual(['there']);
      });

      test('an x-match that means nothing is 406', async () => {
        await expect(routed('headers', [['', { 'x-match': 'some' }]], [])).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(
            'Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x',
          ),
        });
      });

      test('exchanges bound in a circle route a message once', async () => {
        const { channel } = await open();
        const [first, second] = [await exchange(channel, 'fanout'), await exchange(channel, 'topic')];
        const bound = await queue(channel);
        await channel.bindExchange(second, first, '');
        await channel.bindExchange(first, second, '#');
        await channel.bindQueue(bound, second, 'a.*');
        channel.publish(first, 'a.b', Buffer.from('1'));
        await channel.waitForConfirms();
        expect(await drain(channel, bound)).toEqual(['1']);
      });

      test('what matches no binding goes to the alternate exchange', async () => {
        const { channel } = await open();
        const [alternate, bound] = [await exchange(channel, 'fanout'), await queue(channel)];
        const name = await exchange(channel, 'direct', { alternateExchange: alternate });
        await channel.bindQueue(bound, alternate, '');
        channel.publish(name, 'nowhere', Buffer.from('1'), { mandatory: true });
        await channel.waitForConfirms();
        const message = await got(channel, bound);
        expect(message.fields).toMatchObject({ exchange: name, routingKey: 'nowhere' });
      });

      test('CC and BCC add keys, and nobody sees BCC', async () => {
        const { channel } = await open();
        const [to, copy, blind] = [await queue(channel), await queue(channel), await queue(channel)];
        await publishWith(channel, to, { CC: [copy], BCC: [blind, copy] }, 'a');
        for (const name of [to, copy, blind]) {
          expect((await got(channel, name)).properties.headers).toEqual({ CC: [copy] });
          expect(await channel.get(name)).toBe(false);
        }
      });
    });

    describe('queues', () => {
      test('a queue without a name gets one', async () => {
        const { channel } = await open();
        const { queue: name } = await channel.assertQueue('', { exclusive: true });
        expect(name).toMatch(/^amq\.gen-[\w-]{22}$/);
      });

      test('declaring counts the messages that wait and the consumers', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b');
        await channel.get(name);
        expect(await channel.checkQueue(name)).toEqual({ queue: name, messageCount: 1, consumerCount: 0 });
      });

      test('a missing queue is 404', async () => {
        const { channel } = await open();
        await expect(channel.checkQueue('missing')).rejects.toMatchObject(notFoundQueue('missing'));
      });

      test('declaring one again with another durability is 406', async () => {
        const { channel } = await open();
        const name = await queue(channel, { exclusive: false, durable: false, autoDelete: true });
        cleanups.push(async () => (await open()).channel.deleteQueue(name));
        const durable = { exclusive: false, durable: true, autoDelete: true };
        await expect(queueAgain(channel, name, durable)).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(
            `inequivalent arg 'durable' for queue '${name}' in vhost '/': received 'true' but current is 'false'`,
          ),
        });
      });

      test('an exclusive queue is never durable, so that durability makes no difference to it', async () => {
        const { channel } = await open();
        const name = await queue(channel, { durable: false });
        expect(await queueAgain(channel, name, { durable: true })).toMatchObject({ queue: name });
      });

      test('declaring a plain queue with an argument is 406', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const args = { arguments: { 'x-dead-letter-exchange': 'dlx' } };
        await expect(queueAgain(channel, name, args)).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(
            `inequivalent arg 'x-dead-letter-exchange' for queue '${name}' in vhost '/': received the value 'dlx' of type 'longstr' but current is none`,
          ),
        });
      });

      test('declaring one with an argument missing is 406', async () => {
        const { channel } = await open();
        const name = await queue(channel, { arguments: { 'x-message-ttl': 1000 } });
        await expect(queueAgain(channel, name, {})).rejects.toMatchObject({
          message: expect.stringContaining("received none but current is the value '1000' of type 'short'"),
        });
      });

      test.each([
        ['x-message-ttl', 'soon', '"expected integer, got longstr"'],
        ['x-message-ttl', -1, '{value_negative,-1}'],
        ['x-expires', 0, '{value_zero,0}'],
        ['x-max-length', -1, '{value_negative,-1}'],
        ['x-overflow', 'spill', 'invalid_overflow'],
        ['x-dead-letter-routing-key', 'k', 'routing_key_but_no_dlx_defined'],
        ['x-max-priority', 256, '{max_value_exceeded,256}'],
      ])('%s of %p is 406', async (argument, value, problem) => {
        const { channel } = await open();
        const name = unique();
        const declaring = channel.assertQueue(name, { exclusive: true, arguments: { [argument]: value } });
        await expect(declaring).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(`invalid arg '${argument}' for queue '${name}' in vhost '/': ${problem}`),
        });
      });

      test("another connection's exclusive queue is 405, whatever is asked of it", async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const attempts = [
          (other: Channel) => other.assertQueue(name, { exclusive: true }),
          (other: Channel) => other.checkQueue(name),
          (other: Channel) => other.consume(name, () => undefined),
          (other: Channel) => other.deleteQueue(name),
        ];
        for (const attempt of attempts) {
          const { channel: other } = await open();
          await expect(attempt(other)).rejects.toMatchObject({
            code: 405,
            message: expect.stringContaining(
              `RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '${name}' in vhost '/'`,
            ),
          });
        }
      });

      test('a queue that is not exclusive cannot become so: 405', async () => {
        const { channel } = await open();
        const name = await queue(channel, { exclusive: false, autoDelete: true });
        cleanups.push(async () => (await open()).channel.deleteQueue(name));
        await expect(queueAgain(channel, name, { autoDelete: true })).rejects.toMatchObject({ code: 405 });
      });

      test('purge says how many messages it took', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b');
        expect(await channel.purgeQueue(name)).toEqual({ messageCount: 2 });
        expect(await channel.get(name)).toBe(false);
      });

      test('delete says how many messages went, and deleting what is not there is fine', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a');
        expect(await channel.deleteQueue(name)).toEqual({ messageCount: 1 });
        expect(await channel.deleteQueue(name)).toEqual({ messageCount: 0 });
      });

      test('a queue with messages is not deleted if-empty', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a');
        await expect(channel.deleteQueue(name, { ifEmpty: true })).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(`PRECONDITION_FAILED - queue '${name}' in vhost '/' not empty`),
        });
      });

      test('a queue with consumers is not deleted if-unused', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await channel.consume(name, () => undefined);
        await expect(channel.deleteQueue(name, { ifUnused: true })).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining(`PRECONDITION_FAILED - queue '${name}' in vhost '/' in use`),
        });
      });

      test('an auto-delete queue goes with its last consumer', async () => {
        const { channel } = await open();
        const name = await queue(channel, { exclusive: false, autoDelete: true });
        const { consumerTag } = await channel.consume(name, () => undefined);
        await channel.cancel(consumerTag);
        await expect(channel.checkQueue(name)).rejects.toMatchObject(notFoundQueue(name));
      });

      test('a queue that nobody uses for x-expires goes', async () => {
        const { connection, channel } = await open();
        const name = await queue(channel, { exclusive: false, expires: 40 });
        await eventually(async () => {
          const probe = await connection.createChannel();
          probe.on('error', () => undefined);
          // A bind does not count as a use, and fails once the queue is gone.
          return probe.bindQueue(name, 'amq.direct', name).then(
            () => probe.close().then(() => false),
            (error: AmqpFailure) => error.code === 404,
          );
        });
      });

      test('binding to what is not there is 404, the exchange first', async () => {
        const { channel } = await open();
        await expect(channel.bindQueue('missing', 'nowhere', '')).rejects.toMatchObject({
          code: 404,
          message: expect.stringContaining("no exchange 'nowhere' in vhost '/'"),
        });
      });
    });

    describe('publishing', () => {
      test('every property arrives as it was sent', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const headers = {
          text: 'grüße',
          int: -3,
          long: 2 ** 40,
          double: 1.25,
          yes: true,
          nothing: null,
          bytes: Buffer.from([0, 255]),
          list: [1, 'a', { deep: [false] }],
          table: { a: { b: 1 } },
        };
        const properties = {
          contentType: 'application/json',
          contentEncoding: 'utf-8',
          deliveryMode: 2,
          priority: 7,
          correlationId: 'c',
          replyTo: 'r',
          messageId: 'm',
          timestamp: 1_700_000_000,
          type: 't',
          userId: 'guest',
          appId: 'a',
        };
        channel.publish('', name, Buffer.from('a'), { ...properties, headers });
        await channel.waitForConfirms();
        expect((await got(channel, name)).properties).toMatchObject({ ...properties, headers });
      });

      test('confirms come in the order of publishing', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const confirmed: number[] = [];
        for (let index = 0; index < 50; index += 1) {
          channel.publish('', name, Buffer.from('a'), {}, () => confirmed.push(index));
        }
        await channel.waitForConfirms();
        expect(confirmed).toEqual(Array.from({ length: 50 }, (_, index) => index));
      });

      test('an unroutable mandatory message is returned before it is confirmed', async () => {
        const { channel } = await open();
        const events: unknown[] = [];
        channel.on('return', (message) => events.push([message.fields, text(message)]));
        const key = unique();
        channel.publish('', key, Buffer.from('a'), { mandatory: true }, (error) => events.push(error ? 'nack' : 'ack'));
        await channel.waitForConfirms();
        const fields = { replyCode: 312, replyText: 'NO_ROUTE', exchange: '', routingKey: key };
        expect(events).toEqual([[fields, 'a'], 'ack']);
      });

      test('an unroutable message is confirmed', async () => {
        const { channel } = await open();
        channel.publish('', unique(), Buffer.from('a'));
        await channel.waitForConfirms();
      });

      test('publishing to a missing exchange closes the channel with 404', async () => {
        const { channel } = await open();
        const failure = channelFailure(channel);
        channel.publish('missing', '', Buffer.from('a'));
        expect(await failure).toMatchObject({
          code: 404,
          message: expect.stringContaining("NOT_FOUND - no exchange 'missing' in vhost '/'"),
        });
      });

      test.each([
        ['abc', 'no_integer'],
        ['-1', '{value_negative,-1}'],
        ['1.5', '{leftover_string,".5"}'],
        ['99999999999999', '{value_too_large,99999999999999}'],
      ])('an expiration of %p is 406', async (expiration, problem) => {
        const { channel } = await open();
        const failure = channelFailure(channel);
        channel.publish('', unique(), Buffer.from('a'), { expiration });
        expect(await failure).toMatchObject({
          code: 406,
          message: expect.stringContaining(`PRECONDITION_FAILED - invalid expiration '${expiration}': ${problem}`),
        });
      });

      test('a user id other than the own is 406', async () => {
        const { channel } = await open();
        const failure = channelFailure(channel);
        channel.publish('', unique(), Buffer.from('a'), { userId: 'someone' });
        expect(await failure).toMatchObject({
          code: 406,
          message: expect.stringContaining("user_id property set to 'someone' but authenticated user was 'guest'"),
        });
      });

      test('a CC header that is no list is 406', async () => {
        const { channel } = await open();
        const failure = channelFailure(channel);
        channel.publish('', unique(), Buffer.from('a'), { headers: { CC: 'key' } });
        expect(await failure).toMatchObject({
          code: 406,
          message: expect.stringContaining('invalid message: {unacceptable_type_in_header,"CC",longstr}'),
        });
      });
    });

    describe('consuming', () => {
      test('a consumer gets what waits and what comes, in order', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b');
        const received = await collect(channel, name, { noAck: true });
        await publish(channel, name, 'c');
        expect(await received.first(3)).toEqual(['a', 'b', 'c']);
      });

      test('a consumer without a tag gets one', async () => {
        const { channel } = await open();
        const { consumerTag } = await channel.consume(await queue(channel), () => undefined);
        expect(consumerTag).toMatch(/^amq\.ctag-[\w-]{22}$/);
      });

      test('a tag used twice is 530 and costs the connection', async () => {
        const { channel, errors } = await open();
        const name = await queue(channel);
        await channel.consume(name, () => undefined, { consumerTag: 'twice' });
        await expect(channel.consume(name, () => undefined, { consumerTag: 'twice' })).rejects.toThrow();
        expect(await eventually(() => errors[0])).toMatchObject({
          code: 530,
          message: expect.stringContaining("NOT_ALLOWED - attempt to reuse consumer tag 'twice'"),
        });
      });

      test('an exclusive consumer is alone', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await channel.consume(name, () => undefined, { exclusive: true });
        await expect(channel.consume(name, () => undefined)).rejects.toMatchObject({
          code: 403,
          message: expect.stringContaining(`ACCESS_REFUSED - queue '${name}' in vhost '/' in exclusive use`),
        });
      });

      test('consumers take turns', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const [first, second] = [await collect(channel, name), await collect(channel, name)];
        await publish(channel, name, 'a', 'b', 'c', 'd');
        expect([await first.first(2), await second.first(2)]).toEqual([
          ['a', 'c'],
          ['b', 'd'],
        ]);
      });

      test('a consumer of higher priority comes first, until its prefetch is full', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const low = await collect(channel, name);
        await channel.prefetch(2);
        const high = await collect(channel, name, { priority: 5 });
        await publish(channel, name, 'a', 'b', 'c', 'd');
        expect([await high.first(2), await low.first(2)]).toEqual([
          ['a', 'b'],
          ['c', 'd'],
        ]);
      });

      test('prefetch limits each consumer, and an acknowledgement makes room', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b', 'c', 'd');
        await channel.prefetch(2);
        const received = await collect(channel, name);
        expect(await received.first(2)).toEqual(['a', 'b']);
        expect((await channel.checkQueue(name)).messageCount).toBe(2);
        channel.ack(received.messages[0] as ConsumeMessage);
        expect(await received.first(3)).toEqual(['a', 'b', 'c']);
        expect((await channel.checkQueue(name)).messageCount).toBe(1);
      });

      test('a global prefetch is shared by the consumers of the channel', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b', 'c', 'd', 'e');
        await channel.prefetch(3, true);
        const both = [await collect(channel, name), await collect(channel, name)];
        await eventually(() => both.flatMap(({ messages }) => messages).length === 3);
        expect((await channel.checkQueue(name)).messageCount).toBe(2);
      });

      test('a cancelled consumer gets no more, and what it holds stays with the channel', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const received = await collect(channel, name);
        await publish(channel, name, 'a');
        await received.first(1);
        await channel.cancel(received.consumerTag);
        await publish(channel, name, 'b');
        expect((await channel.checkQueue(name)).messageCount).toBe(1);
        channel.nack(received.messages[0] as ConsumeMessage);
        expect(await eventually(async () => (await channel.checkQueue(name)).messageCount === 2)).toBe(true);
      });

      test('a consumer is told when its queue is deleted', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        let cancelled = false;
        await channel.consume(name, (message) => {
          cancelled = message === null;
        });
        await channel.deleteQueue(name);
        expect(await eventually(() => cancelled)).toBe(true);
      });

      test('with a single active consumer the next takes over when it leaves', async () => {
        const { channel } = await open();
        const name = await queue(channel, { arguments: { 'x-single-active-consumer': true } });
        const [first, second] = [await collect(channel, name, { noAck: true }), await collect(channel, name)];
        await publish(channel, name, 'a', 'b');
        expect(await first.first(2)).toEqual(['a', 'b']);
        await channel.cancel(first.consumerTag);
        await publish(channel, name, 'c');
        expect(await second.first(1)).toEqual(['c']);
      });

      test('get takes one and says how many are left', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b');
        const message = await got(channel, name);
        expect(message.fields).toMatchObject({
          deliveryTag: 1,
          redelivered: false,
          exchange: '',
          routingKey: name,
          messageCount: 1,
        });
      });

      test('consuming from a missing queue is 404', async () => {
        const { channel } = await open();
        await expect(channel.consume('missing', () => undefined)).rejects.toMatchObject(notFoundQueue('missing'));
      });

      test('messages of higher priority come first where the queue has priorities', async () => {
        const { channel } = await open();
        const name = await queue(channel, { maxPriority: 5 });
        for (const priority of [0, 3, 9, 5, 3]) channel.publish('', name, Buffer.from(`${priority}`), { priority });
        await channel.waitForConfirms();
        expect(await drain(channel, name)).toEqual(['9', '5', '3', '3', '0']);
      });
    });

    describe('settling', () => {
      async function taken(channel: Channel, name: string, count: number): Promise<GetMessage[]> {
        const messages: GetMessage[] = [];
        for (let index = 0; index < count; index += 1) messages.push(await got(channel, name, false));
        return messages;
      }

      test('an acknowledged message does not come back', async () => {
        const { connection, channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b');
        const other = await connection.createChannel();
        const [first] = await taken(other, name, 2);
        other.ack(first as GetMessage);
        await other.close();
        expect(text(await eventually(() => channel.get(name)))).toBe('b');
        expect(await channel.get(name)).toBe(false);
      });

      test('multiple settles everything up to the tag', async () => {
        const { connection, channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b', 'c');
        const other = await connection.createChannel();
        const [, second] = await taken(other, name, 3);
        other.ack(second as GetMessage, true);
        await other.close();
        expect(text(await eventually(() => channel.get(name)))).toBe('c');
        expect(await channel.get(name)).toBe(false);
      });

      test('a requeued message goes back to its place, marked as redelivered', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a', 'b', 'c', 'd');
        const [first, second] = await taken(channel, name, 3);
        channel.nack(second as GetMessage, false, true);
        channel.reject(first as GetMessage, true);
        await eventually(async () => (await channel.checkQueue(name)).messageCount === 3);
        const rest = await taken(channel, name, 3);
        expect(rest.map((message) => [text(message), message.fields.redelivered])).toEqual([
          ['a', true],
          ['b', true],
          ['d', false],
        ]);
      });

      test('a requeued message is offered to the consumers again', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        const seen: boolean[] = [];
        await channel.consume(name, (message) => {
          if (message === null) return;
          seen.push(message.fields.redelivered);
          if (message.fields.redelivered) channel.ack(message);
          else channel.nack(message);
        });
        await publish(channel, name, 'a');
        expect(await eventually(() => seen.length === 2 && seen)).toEqual([false, true]);
      });

      test.each([
        ['ack', (channel: Channel) => channel.ack(tagged(7))],
        ['ack multiple', (channel: Channel) => channel.ack(tagged(7), true)],
        ['reject', (channel: Channel) => channel.reject(tagged(7))],
      ])('%s of an unknown delivery tag is 406', async (_name, act) => {
        const { channel } = await open();
        const failure = channelFailure(channel);
        act(channel);
        expect(await failure).toMatchObject({
          code: 406,
          message: expect.stringContaining('PRECONDITION_FAILED - unknown delivery tag 7'),
        });
      });

      test('a tag can be settled once', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a');
        const message = await got(channel, name, false);
        const failure = channelFailure(channel);
        channel.ack(message);
        channel.ack(message);
        expect(await failure).toMatchObject({ code: 406 });
      });

      test('recover requeues what the channel holds', async () => {
        const { channel } = await open();
        const name = await queue(channel);
        await publish(channel, name, 'a');
        await got(channel, name, false);
        await channel.recover();
        const back = await eventually(() => channel.get(name));
        expect(back.fields.redelivered).toBe(true);
      });

      test('a transaction publishes and settles on commit and forgets on rollback', async () => {
        const { connection } = await dial();
        const channel = await connection.createChannel();
        const name = await queue(channel);
        await rpc(channel, TX_SELECT, {});
        channel.sendToQueue(name, Buffer.from('forgotten'));
        await rpc(channel, TX_ROLLBACK, {});
        channel.sendToQueue(name, Buffer.from('kept'));
        expect((await channel.checkQueue(name)).messageCount).toBe(0);
        await rpc(channel, TX_COMMIT, {});
        expect(await drain(channel, name)).toEqual(['kept']);
      });

      test('a channel that confirms cannot become transactional', async () => {
        const { channel } = await open();
        await expect(rpc(channel, TX_SELECT, {})).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining('cannot switch from confirm to tx mode'),
        });
      });
    });

    describe('expiry and limits', () => {
      test("messages die after the queue's time to live", async () => {
        const { channel } = await open();
        const name = await queue(channel, { messageTtl: 30 });
        await publish(channel, name, 'a');
        expect(await eventually(async () => (await channel.checkQueue(name)).messageCount === 0)).toBe(true);
      });

      test('a message that expires behind one that does not stays until it is at the head', async () => {
        const { channel } = await open();
        const { source, dead } = await mortal(channel);
        const marker = await mortal(channel);
        await publish(channel, source, 'first');
        channel.sendToQueue(source, Buffer.from('second'), { expiration: '10' });
        channel.sendToQueue(marker.source, Buffer.from('marker'), { expiration: '40' });
        await eventually(async () => (await channel.checkQueue(marker.dead)).messageCount === 1);
        expect((await channel.checkQueue(source)).messageCount).toBe(2);
        expect(text(await got(channel, source))).toBe('first');
        expect(text(await eventually(() => channel.get(dead)))).toBe('second');
      });

      test('a time to live of 0 still reaches a consumer that waits', async () => {
        const { channel } = await open();
        const name = await queue(channel, { messageTtl: 0 });
        await publish(channel, name, 'lost');
        const received = await collect(channel, name, { noAck: true });
        await publish(channel, name, 'found');
        expect(await received.first(1)).toEqual(['found']);
      });

      test('a full queue drops from its head', async () => {
        const { channel } = await open();
        const name = await queue(channel, { maxLength: 2 });
        await publish(channel, name, 'a', 'b', 'c');
        expect(await drain(channel, name)).toEqual(['b', 'c']);
      });

      test('a queue that is full by bytes drops from its head until there is room', async () => {
        const { channel } = await open();
        const name = await queue(channel, { arguments: { 'x-max-length-bytes': 5 } });
        await publish(channel, name, 'aaa', 'bb', 'c');
        expect(await drain(channel, name)).toEqual(['bb', 'c']);
        await publish(channel, name, 'too long for it');
        expect(await drain(channel, name)).toEqual([]);
      });

      test('a full queue that rejects tells the publisher by a nack', async () => {
        const { channel } = await open();
        const name = await queue(channel, { maxLength: 1, arguments: { 'x-overflow': 'reject-publish' } });
        const verdicts: string[] = [];
        for (const body of ['a', 'b']) {
          channel.publish('', name, Buffer.from(body), {}, (error) => verdicts.push(error ? 'nack' : 'ack'));
        }
        await eventually(() => verdicts.length === 2);
        expect([verdicts, await drain(channel, name)]).toEqual([['ack', 'nack'], ['a']]);
      });
    });

    describe('dead letters', () => {
      test('a rejected message carries its death', async () => {
        const { channel } = await open();
        const { source, dead } = await mortal(channel);
        channel.sendToQueue(source, Buffer.from('a'), {
          headers: { own: 1 },
          persistent: true,
          messageId: 'm',
        });
        await channel.waitForConfirms();
        channel.reject(await got(channel, source, false), false);
        const letter = await eventually(() => channel.get(dead));
        expect(letter.fields).toMatchObject({ exchange: '', routingKey: dead, redelivered: false });
        expect(letter.properties).toMatchObject({ deliveryMode: 2, messageId: 'm' });
        expect(letter.properties.headers).toEqual({
          own: 1,
          'x-death': [death('rejected', source)],
          'x-first-death-exchange': '',
          'x-first-death-queue': source,
          'x-first-death-reason': 'rejected',
        });
      });

      test('an expired message loses its expiration and remembers it', async () => {
        const { channel } = await open();
        const { source, dead } = await mortal(channel);
        channel.sendToQueue(source, Buffer.from('a'), { expiration: '20' });
        const letter = await eventually(() => channel.get(dead));
        expect(letter.properties.expiration).toBeUndefined();
        expect(letter.properties.headers?.['x-death']).toEqual([
          { ...death('expired', source), 'original-expiration': '20' },
        ]);
      });

      test('what a full queue drops is dead-lettered as maxlen', async () => {
        const { channel } = await open();
        const { source, dead } = await mortal(channel, { 'x-max-length': 1 });
        await publish(channel, source, 'a', 'b');
        const letter = await eventually(() => channel.get(dead));
        expect([text(letter), letter.properties.headers?.['x-death']]).toEqual(['a', [death('maxlen', source)]]);
      });

      test('what a full queue rejects is dead-lettered when asked for', async () => {
        const { channel } = await open();
        const { source, dead } = await mortal(channel, {
          'x-max-length': 1,
          'x-overflow': 'reject-publish-dlx',
        });
        channel.sendToQueue(source, Buffer.from('a'));
        channel.sendToQueue(source, Buffer.from('b'));
        await channel.waitForConfirms().catch(() => undefined);
        expect(text(await eventually(() => channel.get(dead)))).toBe('b');
      });

      test('a second death in the same queue for the same reason is counted', async () => {
        const { channel } = await open();
        const { source, dead } = await mortal(channel);
        await publish(channel, source, 'a');
        channel.reject(await got(channel, source, false), false);
        const first = await eventually(() => channel.get(dead));
        await publishWith(channel, source, first.properties.headers ?? {}, 'a');
        channel.reject(await got(channel, source, false), false);
        const second = await eventually(() => channel.get(dead));
        expect(second.properties.headers?.['x-death']).toEqual([{ ...death('rejected', source), count: 2 }]);
      });

      test('the latest death is first, and the first has headers of its own', async () => {
        const { channel } = await open();
        const last = await queue(channel);
        const middle = await queue(channel, {
          messageTtl: 10,
          deadLetterExchange: '',
          deadLetterRoutingKey: last,
        });
        const first = await queue(channel, { deadLetterExchange: '', deadLetterRoutingKey: middle });
        await publish(channel, first, 'a');
        channel.reject(await got(channel, first, false), false);
        const letter = await eventually(() => channel.get(last));
        expect(letter.properties.headers).toMatchObject({
          'x-death': [death('expired', middle), death('rejected', first)],
          'x-first-death-queue': first,
          'x-first-death-reason': 'rejected',
        });
      });

      test("without a key of the queue's the letter keeps the message's own, copies too", async () => {
        const { channel } = await open();
        const [deadExchange, dead] = [await exchange(channel, 'direct'), await queue(channel)];
        const copy = unique();
        await channel.bindQueue(dead, deadExchange, copy);
        const source = await queue(channel, { deadLetterExchange: deadExchange });
        await publishWith(channel, source, { CC: [copy] }, 'a');
        channel.reject(await got(channel, source, false), false);
        const letter = await eventually(() => channel.get(dead));
        expect(letter.fields).toMatchObject({ exchange: deadExchange, routingKey: source });
        expect(letter.properties.headers).toMatchObject({
          CC: [copy],
          'x-death': [{ ...death('rejected', source), 'routing-keys': [source, copy] }],
        });
      });

      test('a message that would expire in circles is dropped', async () => {
        const { channel } = await open();
        const name = await queue(channel, { messageTtl: 10, deadLetterExchange: '' });
        await publish(channel, name, 'a');
        expect(await eventually(async () => (await channel.checkQueue(name)).messageCount === 0)).toBe(true);
      });

      test('a message that is rejected in circles stays', async () => {
        const { channel } = await open();
        const name = await queue(channel, { deadLetterExchange: '' });
        await publish(channel, name, 'a');
        channel.reject(await got(channel, name, false), false);
        expect(text(await eventually(() => channel.get(name)))).toBe('a');
      });
    });

    describe('direct reply-to', () => {
      test('a reply comes straight to the channel that asked', async () => {
        const { channel: asking } = await open();
        const { channel: answering } = await open();
        const requests = unique();
        await answering.assertQueue(requests, { exclusive: true });
        const replies = await collect(asking, 'amq.rabbitmq.reply-to', { noAck: true });
        asking.sendToQueue(requests, Buffer.from('question'), { replyTo: 'amq.rabbitmq.reply-to' });
        const request = await eventually(() => answering.get(requests, { noAck: true }));
        expect(request.properties.replyTo).toMatch(/^amq\.rabbitmq\.reply-to\../);
        answering.sendToQueue(request.properties.replyTo, Buffer.from('answer'));
        expect(await replies.first(1)).toEqual(['answer']);
      });

      test('a reply to a channel that is gone is unroutable', async () => {
        const { connection: asker, channel: asking } = await open();
        const { channel } = await open();
        const requests = unique();
        await channel.assertQueue(requests, { exclusive: true });
        await asking.consume('amq.rabbitmq.reply-to', () => undefined, { noAck: true });
        asking.sendToQueue(requests, Buffer.from('question'), { replyTo: 'amq.rabbitmq.reply-to' });
        const request = await eventually(() => channel.get(requests, { noAck: true }));
        await asker.close();
        const returned: string[] = [];
        channel.on('return', (message) => returned.push(text(message)));
        channel.sendToQueue(request.properties.replyTo, Buffer.from('late'), { mandatory: true });
        await channel.waitForConfirms();
        expect(returned).toEqual(['late']);
      });

      test('replies cannot be acknowledged, and asking without listening is 406', async () => {
        const { channel } = await open();
        await expect(channel.consume('amq.rabbitmq.reply-to', () => undefined)).rejects.toMatchObject({
          code: 406,
          message: expect.stringContaining('reply consumer cannot acknowledge'),
        });
        const { channel: deaf } = await open();
        const failure = channelFailure(deaf);
        deaf.sendToQueue(unique(), Buffer.from('a'), { replyTo: 'amq.rabbitmq.reply-to' });
        expect(await failure).toMatchObject({
          code: 406,
          message: expect.stringContaining('fast reply consumer does not exist'),
        });
      });
    });
  });
}

interface AmqpFailure extends Error {
  code?: number;
}

interface Sent {
  key?: string;
  body: string;
  headers?: object;
}

const CHANNEL_FLOW = 1310740;
const TX_SELECT = 5898250;
const TX_COMMIT = 5898260;
const TX_ROLLBACK = 5898270;

const unique = () => `test-${randomBytes(8).toString('hex')}`;

const text = (message: { content: Buffer }) => message.content.toString();

const tagged = (deliveryTag: number) => ({ fields: { deliveryTag } }) as GetMessage;

const notFoundQueue = (name: string) => ({
  code: 404,
  message: expect.stringContaining(`NOT_FOUND - no queue '${name}' in vhost '/'`),
});

const death = (reason: string, queue: string) => ({
  count: 1,
  reason,
  queue,
  time: { '!': 'timestamp', value: expect.any(Number) },
  exchange: '',
  'routing-keys': [queue],
});

const queueAgain = (channel: Channel, name: string, options: Options.AssertQueue) =>
  channel.assertQueue(name, { exclusive: true, ...options });

async function publish(channel: ConfirmChannel, queue: string, ...bodies: (string | Buffer)[]): Promise<void> {
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body));
  await channel.waitForConfirms();
}

async function publishWith(channel: ConfirmChannel, queue: string, headers: object, body: string): Promise<void> {
  const { CC, BCC, ...rest } = headers as { CC?: string[]; BCC?: string[] };
  const copies = { ...(CC && { CC }), ...(BCC && { BCC }) };
  channel.sendToQueue(queue, Buffer.from(body), { ...copies, headers: rest });
  await channel.waitForConfirms();
}

async function got(channel: Channel, queue: string, noAck = true): Promise<GetMessage> {
  const message = await channel.get(queue, { noAck });
  if (message === false) throw new Error(`${queue} is empty`);
  return message;
}

async function drain(channel: Channel, queue: string): Promise<string[]> {
  const bodies: string[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (message === false) return bodies;
    bodies.push(text(message));
  }
}

async function collect(channel: Channel, queue: string, options: Options.Consume = {}) {
  const messages: ConsumeMessage[] = [];
  const take = (message: ConsumeMessage | null) => void (message && messages.push(message));
  const { consumerTag } = await channel.consume(queue, take, options);
  const first = (count: number) => eventually(() => messages.length >= count && messages.slice(0, count).map(text));
  return { consumerTag, messages, first };
}

function channelFailure(channel: Channel): Promise<AmqpFailure> {
  return new Promise((resolve) => channel.once('error', resolve));
}

/** A method that amqplib has no call for. */
function rpc(channel: Channel, method: number, fields: object): Promise<unknown> {
  const { rpc: call } = channel as unknown as {
    rpc(method: number, fields: object, ok: number): Promise<unknown>;
  };
  return call.call(channel, method, fields, method + 1);
}

/** What `attempt` says as soon as it is truthy; fails after two seconds. */
async function eventually<T>(attempt: () => T | Promise<T>): Promise<Exclude<Awaited<T>, false | undefined | null>> {
  const deadline = Date.now() + 2_000;
  for (;;) {
    const outcome = await attempt();
    if (outcome) return outcome as Exclude<Awaited<T>, false | undefined | null>;
    if (Date.now() > deadline) throw new Error('did not happen within two seconds');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
