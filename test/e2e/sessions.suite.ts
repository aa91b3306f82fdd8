import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { topology } from '../../infra/topology';
import { sessionLimits } from '../../lib/session/state';
import { deleteQueues, openChannel, queueNames, type TestChannel } from '../helpers/amqp';
import { Client, type Frame } from '../helpers/client';
import { type Issuer, startIssuer } from '../helpers/issuer';
import { type NestService, startNestService } from '../helpers/nest';
import { type Stack, startStack } from '../helpers/stack';

/**
 * Sessions on the running stack, by raw frames: what a client sees that knows no more than docs/PROTOCOL.md.
 * @param env of the stacks: with AMQP_URL on that broker, else each on an embedded one.
 */
export function describeSessions(name: string, env: Record<string, string>): void {
  const clients: Client[] = [];
  /** The tokens of all sessions that were opened. */
  const secrets: string[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });

  /** A stack for the time of a block; the example worker is not on it. */
  function useStack(more: Record<string, string> | (() => Record<string, string>) = {}) {
    const queues = queueNames();
    const used = { ...queues } as typeof queues & { stack: Stack };
    beforeAll(async () => {
      const ofBlock = typeof more === 'function' ? more() : more;
      used.stack = await startStack({ EXAMPLE_WORKER: 'false', LOG_LEVEL: 'INFO', ...env, ...queues.env, ...ofBlock });
    }, 90_000);
    afterAll(async () => {
      await used.stack?.stop();
      const all = topology({ ...queues, replyShards: 4 });
      if (env.AMQP_URL) await deleteQueues(env.AMQP_URL, ...all.map((queue) => queue.name));
    }, 30_000);
    return used;
  }

  async function connect({ stack }: { stack: Stack }, query = ''): Promise<Client> {
    const client = await Client.open(`${stack.webSocketUrl}${query}`);
    clients.push(client);
    return client;
  }

  /** As a phone in a tunnel: no closing handshake. */
  async function cut(client: Client): Promise<void> {
    client.socket.terminate();
    await client.closed;
  }

  const open = (client: Client) => claim(client, {});

  async function claim(client: Client, claimed: object): Promise<Opened> {
    client.send({ action: 'session', ...claimed });
    const opened = await client.find(({ resumed }) => resumed !== undefined, 20_000);
    secrets.push(opened.token);
    return opened as Opened;
  }

  describe(`sessions on ${name}`, () => {
    const used = useStack();
    let service: TestChannel;
    /** Requests that came out of the queue, in their order. */
    const requests: { body: Frame; correlationId: string }[] = [];

    beforeAll(async () => {
      service = await openChannel(used.stack.amqpUrl);
      await service.channel.consume(used.apiQueue, (message) => {
        if (message === null) return;
        service.channel.ack(message);
        requests.push({ body: JSON.parse(String(message.content)), correlationId: message.properties.correlationId });
        service.channel.emit('request');
      });
    });
    afterEach(() => void requests.splice(0));
    afterAll(() => service?.close());

    /** Lays a reply into the queue as a service does, at any time. */
    function reply(socketId: string, data: object, messageId?: string): void {
      const event = { pattern: { cmd: 'recv' }, data: { ...data, metadata: { socket_id: socketId } } };
      const properties = { persistent: true, ...(messageId === undefined ? {} : { messageId }) };
      service.channel.sendToQueue(used.wsQueue, Buffer.from(JSON.stringify(event)), properties);
    }

    /** Resolves once the gateway has stored so many replies for which nobody was there, beyond those before. */
    async function stored(count: number, act: () => void | Promise<void>): Promise<void> {
      const sum = () =>
        [...used.stack.output().matchAll(/"verdicts":\{[^}]*"stored":(\d+)/g)].reduce(
          (all, [, n]) => all + Number(n),
          0,
        );
      const before = sum();
      await act();
      while (sum() < before + count) await used.stack.prints('Handled a batch of replies');
    }

    async function request(n = 0): Promise<{ body: Frame; correlationId: string }> {
      while (requests.length <= n) await once(service.channel, 'request', { signal: AbortSignal.timeout(10_000) });
      return requests[n] as (typeof requests)[number];
    }

    test('are nothing to a client that does not ask for one', async () => {
      const client = await connect(used);
      client.send({ action: 'send', id: '1', data: { prompt: 'a' } });
      const first = await client.next();
      client.send({ action: 'send', id: '1', data: { prompt: 'b' } });
      const second = await client.next();
      expect(first).toEqual({ event: 'ack', id: '1', messageId: expect.any(String) });
      expect(second).toEqual({ event: 'ack', id: '1', messageId: expect.any(String) });
      expect(second.messageId).not.toBe(first.messageId);
      const { socket_id } = (await request(1)).body.data.metadata;
      expect(socket_id).not.toContain('session');
      reply(socket_id, { n: 1 });
      reply(socket_id, { n: 2 }, 'r-2');
      expect(await client.next()).toEqual({ event: 'recv', data: { n: 1 } });
      expect(await client.next()).toEqual({ event: 'recv', messageId: 'r-2', data: { n: 2 } });
    });

    test('open with a public id and a secret', async () => {
      const client = await connect(used);
      client.send({ action: 'session', id: 's' });
      expect(await client.next()).toEqual({
        event: 'session',
        id: 's',
        session: expect.stringMatching(/^session_[\w-]{22}$/),
        token: expect.stringMatching(/^[\w-]{43}$/),
        resumed: false,
        ttlSeconds: 300,
        seq: 0,
      });
    });

    test('number the replies, and name those that their service gives no name', async () => {
      const client = await connect(used);
      const { session } = await open(client);
      client.send({ action: 'send', id: '1', session, data: { prompt: 'hi' } });
      const { body, correlationId } = await request();
      expect(body.data.metadata).toMatchObject({ socket_id: session, client_id: '1' });
      reply(session, { n: 1 }, 'r-1');
      reply(session, { n: 2 });
      const error = JSON.stringify({ err: 'no credit', isDisposed: true });
      service.channel.sendToQueue(used.wsQueue, Buffer.from(error), { correlationId, messageId: 'r-3' });
      const third = await client.find(({ seq }) => seq === 3);
      const [first, second] = client.frames.filter(({ event }) => event === 'recv');
      expect(first).toEqual({ event: 'recv', seq: 1, messageId: 'r-1', data: { n: 1 } });
      expect(second).toEqual({ event: 'recv', seq: 2, messageId: expect.any(String), data: { n: 2 } });
      expect(third).toMatchObject({ event: 'error', seq: 3, id: '1', messageId: 'r-3', data: 'no credit' });
    });

    test('go on after a cut, with what came in between, in order', async () => {
      const first = await connect(used);
      const { session, token } = await open(first);
      reply(session, { n: 1 }, 'r-1');
      await first.find(({ seq }) => seq === 1);
      await cut(first);
      await stored(3, () => {
        for (const n of [2, 3, 4]) reply(session, { n }, `r-${n}`);
      });
      const second = await connect(used);
      const resumed = await claim(second, { id: 'c', session, token, after: 1 });
      expect(resumed).toEqual({ event: 'session', id: 'c', session, token, resumed: true, ttlSeconds: 300, seq: 4 });
      reply(session, { n: 5 }, 'r-5');
      await second.find(({ seq }) => seq === 5);
      expect(second.frames[0]).toEqual(resumed);
      expect(second.frames.slice(1)).toEqual(
        [2, 3, 4, 5].map((n) => ({ event: 'recv', seq: n, messageId: `r-${n}`, data: { n } })),
      );
    });

    test('give a client that reads it several replies in one frame', async () => {
      const first = await connect(used);
      const { session, token } = await claim(first, { batches: true });
      await cut(first);
      await stored(100, () => {
        for (let n = 1; n <= 100; n += 1) reply(session, { n }, `r-${n}`);
      });
      const second = await connect(used);
      await claim(second, { session, token, batches: true });
      for (let n = 101; n <= 200; n += 1) reply(session, { n }, `r-${n}`);
      await second.find((frame) => [frame].flat().some(({ seq, event }) => event === 'recv' && seq === 200));
      const [, ...frames] = second.frames;
      expect(frames.flat()).toEqual(
        Array.from({ length: 200 }, (_, n) => ({
          event: 'recv',
          seq: n + 1,
          messageId: `r-${n + 1}`,
          data: { n: n + 1 },
        })),
      );
      const [missed, ...live] = frames;
      expect(missed).toHaveLength(100);
      expect(live.length).toBeLessThan(50);
    });

    test('go on over many connections', async () => {
      const client = await connect(used);
      const { session, token } = await open(client);
      await cut(client);
      for (let n = 1; n <= 5; n += 1) {
        await stored(1, () => reply(session, { n }, `r-${n}`));
        const next = await connect(used);
        expect(await claim(next, { session, token, after: n - 1 })).toMatchObject({ resumed: true, seq: n });
        expect(await next.find(({ event }) => event === 'recv')).toMatchObject({ seq: n, data: { n } });
        next.send({ action: 'received', seq: n });
        next.send({ action: 'send', id: `${n}`, session, data: {} });
        expect(await next.find(({ event }) => event === 'ack')).toMatchObject({ id: `${n}` });
        expect((await request(n - 1)).body.data.metadata.socket_id).toBe(session);
        await cut(next);
      }
    });

    test('answer `received` only where they refuse it, and forget what was', async () => {
      const first = await connect(used);
      const { session, token } = await open(first);
      for (const n of [1, 2, 3]) reply(session, { n }, `r-${n}`);
      await first.find(({ seq }) => seq === 3);
      first.send({ action: 'received', id: 'too far', seq: 4 });
      expect(await first.find(({ id }) => id === 'too far')).toMatchObject({ event: 'error', code: 'invalid_message' });
      first.send({ action: 'received', seq: 2 });
      first.send({ action: 'received', seq: 1 });
      first.send({ action: 'ping', id: 'after' });
      await first.find(({ event }) => event === 'pong');
      expect(first.frames.map(({ event }) => event)).toEqual(['session', 'recv', 'recv', 'recv', 'error', 'pong']);
      await cut(first);

      const second = await connect(used);
      expect(await claim(second, { session, token, after: 2 })).toMatchObject({ resumed: true });
      expect(await second.find(({ event }) => event === 'recv')).toMatchObject({ seq: 3 });
      // What was received is not there any more: nothing at all rather than a part.
      const third = await connect(used);
      expect(await claim(third, { session, token, after: 1 })).toMatchObject({ resumed: false, reason: 'incomplete' });
      expect(third.frames).toHaveLength(1);
    });

    test('give again what was missed to the connection that they are on', async () => {
      const client = await connect(used);
      const { session, token } = await open(client);
      for (const n of [1, 2, 3]) reply(session, { n }, `r-${n}`);
      await client.find(({ seq }) => seq === 3);
      client.send({ action: 'session', id: 'again', session, token, after: 1 });
      await client.find(({ id }) => id === 'again');
      reply(session, { n: 4 }, 'r-4');
      await client.find(({ seq, event }) => event === 'recv' && seq === 4);
      const from = client.frames.findIndex(({ id }) => id === 'again');
      expect(client.frames[from]).toMatchObject({ event: 'session', session, resumed: true, seq: 3 });
      expect(client.frames.slice(from + 1).map(({ seq }) => seq)).toEqual([2, 3, 4]);
    });

    test.each([
      ['with the field', true],
      ['without it', false],
    ])('have what is sent on their connection, %s, also where something was sent before', async (_, withField) => {
      const client = await connect(used);
      client.send({ action: 'send', id: '0', data: {} });
      await client.find(({ event }) => event === 'ack');
      const { session } = await open(client);
      client.send({ action: 'send', id: '1', ...(withField ? { session } : {}), data: {} });
      const { metadata } = (await request(1)).body.data;
      expect((await request(0)).body.data.metadata.socket_id).not.toBe(session);
      expect(metadata).toMatchObject({ socket_id: session, client_id: '1' });
      // What was asked before the session is answered outside of it.
      reply((await request(0)).body.data.metadata.socket_id, { n: 0 });
      expect(await client.find(({ event }) => event === 'recv')).toEqual({ event: 'recv', data: { n: 0 } });
    });

    test('refuse what is sent in a session that the connection is not in', async () => {
      const [client, other] = [await connect(used), await connect(used)];
      const { session } = await open(other);
      client.send({ action: 'send', id: '1', session, data: {} });
      expect(await client.next()).toMatchObject({ event: 'error', id: '1', code: 'invalid_message', retryable: false });
      await open(client);
      client.send({ action: 'send', id: '2', session, data: {} });
      expect(await client.find(({ id }) => id === '2')).toMatchObject({ event: 'error', code: 'invalid_message' });
      client.send({ action: 'send', id: '3', data: {} });
      await client.find(({ id }) => id === '3');
      expect((await request()).body.data.metadata.client_id).toBe('3');
      expect(requests).toHaveLength(1);
    });

    test('queue a message once, however often it is sent', async () => {
      const first = await connect(used);
      const { session, token } = await open(first);
      first.send({ action: 'send', id: '1', session, data: { n: 1 } });
      const ack = await first.find(({ event }) => event === 'ack');
      expect(ack).not.toHaveProperty('duplicate');
      first.send({ action: 'send', id: '1', data: { n: 2 } });
      const duplicate = { event: 'ack', id: '1', messageId: ack.messageId, duplicate: true };
      expect(await first.find((frame) => frame.duplicate)).toEqual(duplicate);
      await cut(first);
      const second = await connect(used);
      await claim(second, { session, token, after: 0 });
      second.send({ action: 'send', id: '1', session, data: { n: 1 } });
      expect(await second.find(({ event }) => event === 'ack')).toEqual(duplicate);
      second.send({ action: 'send', id: '2', session, data: {} });
      expect(await second.find(({ id }) => id === '2')).not.toHaveProperty('duplicate');
      expect((await request(1)).body.data.metadata.client_id).toBe('2');
      expect(requests.map(({ body }) => body.data.metadata.message_id)[0]).toBe(ack.messageId);
      expect(requests).toHaveLength(2);
    });

    test('belong to the later of two sockets that fight for one', async () => {
      const opener = await connect(used);
      const { session, token } = await open(opener);
      let holder = opener;
      for (let round = 1; round <= 4; round += 1) {
        const rival = await connect(used);
        expect(await claim(rival, { session, token, after: round - 1 })).toMatchObject({ resumed: true });
        await holder.closed;
        expect(holder.frames.at(-1)).toEqual({ event: 'session', session, ended: 'taken_over' });
        // By now API Gateway has told of the end of the other.
        reply(session, { n: round }, `r-${round}`);
        await rival.find(({ event, seq }) => event === 'recv' && seq === round);
        holder = rival;
      }
      const [earlier, later] = [await connect(used), await connect(used)];
      await claim(later, { session, token, after: 4 });
      await holder.closed;
      // As the claim of a connection that is long dead, and is worked off late.
      earlier.send({ action: 'session', session, token, after: 4 });
      await earlier.closed;
      expect(earlier.frames).toMatchObject([{ event: 'error', code: 'unavailable', retryable: true }]);
      reply(session, { n: 5 }, 'r-5');
      expect(await later.find(({ event, seq }) => event === 'recv' && seq === 5)).toMatchObject({ data: { n: 5 } });
      expect(later.frames.filter(({ ended }) => ended)).toEqual([]);
    });

    test('are not told apart from none where the token is wrong, and survive that', async () => {
      const client = await connect(used);
      const { session, token } = await open(client);
      const claims = {
        unknown: { session: `session_${'x'.repeat(22)}`, token, after: 0 },
        wrong: { session, token: `${token[0] === 'x' ? 'y' : 'x'}${token.slice(1)}`, after: 0 },
      };
      for (const claimed of Object.values(claims)) {
        const stranger = await connect(used);
        const fresh = await claim(stranger, claimed);
        expect(fresh).toMatchObject({ resumed: false, reason: 'unknown', seq: 0 });
        expect(fresh.session).not.toBe(claimed.session);
        expect(fresh.token).not.toBe(claimed.token);
        // A session like any other.
        reply(fresh.session, { n: 1 }, 'r-1');
        expect(await stranger.find(({ event }) => event === 'recv')).toMatchObject({ seq: 1 });
      }
      reply(session, { n: 1 }, 'r-1');
      expect(await client.find(({ event }) => event === 'recv')).toMatchObject({ seq: 1, data: { n: 1 } });
      const ahead = await connect(used);
      expect(await claim(ahead, { session, token, after: 2 })).toMatchObject({ resumed: false, reason: 'incomplete' });
    });

    test.each<[string, object]>([
      ['a session that is no id', { action: 'session', session: 'mine', token: 'x'.repeat(43) }],
      ['a session without its token', { action: 'session', session: `session_${'x'.repeat(22)}` }],
      ['a token without a session', { action: 'session', token: 'x'.repeat(43) }],
      [
        'a negative after',
        { action: 'session', session: `session_${'x'.repeat(22)}`, token: 'x'.repeat(43), after: -1 },
      ],
      ['received without a session', { action: 'received', seq: 1 }],
      ['received without a seq', { action: 'received' }],
      ['a send in a session that is no id', { action: 'send', session: 5, data: {} }],
    ])('explain %s, and the connection lives on', async (_, frame) => {
      const client = await connect(used);
      client.send({ ...frame, id: '1' });
      expect(await client.next()).toMatchObject({ event: 'error', id: '1', code: 'invalid_message', retryable: false });
      expect(await open(client)).toMatchObject({ resumed: false });
    });

    test('are one at most for a connection', async () => {
      const client = await connect(used);
      const { session, token } = await open(client);
      const other = await open(await connect(used));
      client.send({ action: 'session', id: 'second' });
      expect(await client.find(({ id }) => id === 'second')).toMatchObject({ event: 'error', code: 'invalid_message' });
      client.send({ action: 'session', id: 'other', session: other.session, token: other.token });
      expect(await client.find(({ id }) => id === 'other')).toMatchObject({ event: 'error', code: 'invalid_message' });
      client.send({ action: 'session', id: 'its own', session, token });
      expect(await client.find(({ id }) => id === 'its own')).toMatchObject({ event: 'session', resumed: true });
    });

    test('say that they have ended where too many replies wait', async () => {
      const client = await connect(used);
      const { session, token } = await open(client);
      await cut(client);
      for (let n = 1; n <= sessionLimits.maxReplies + 1; n += 1) reply(session, { n }, `r-${n}`);
      await used.stack.prints('"gone":');
      const next = await connect(used);
      const fresh = await claim(next, { session, token, after: 0 });
      expect(fresh).toMatchObject({ resumed: false, reason: 'too_many_replies', seq: 0 });
      expect(fresh.session).not.toBe(session);
    }, 60_000);

    test('say so at once to a client that is there, and close it', async () => {
      const client = await connect(used);
      const { session } = await open(client);
      const text = 'x'.repeat(120_000);
      for (let n = 1; n <= 9; n += 1) reply(session, { n, text }, `r-${n}`);
      await client.closed;
      expect(client.frames.at(-1)).toEqual({ event: 'session', session, ended: 'too_many_bytes' });
      const seqs = client.frames.flatMap(({ event, seq }) => (event === 'recv' ? [seq] : []));
      expect(seqs).toEqual(seqs.map((_, at) => at + 1));
    }, 60_000);

    test('tell nobody their secrets', () => {
      expect(secrets.length).toBeGreaterThan(20);
      for (const secret of secrets) expect(used.stack.output()).not.toContain(secret);
    });
  });

  describe(`sessions of users on ${name}`, () => {
    let issuer: Issuer;
    beforeAll(async () => {
      issuer = await startIssuer();
    });
    afterAll(() => issuer?.close());
    const used = useStack(() => ({
      AUTH: 'jwt',
      JWT_ISSUER: issuer.issuer,
      JWT_AUDIENCE: issuer.audience,
      JWT_JWKS_URL: issuer.jwksUrl,
    }));
    const as = async (sub: string) => connect(used, `?token=${await issuer.token({ sub })}`);

    test('are taken over by their user alone', async () => {
      const alice = await as('alice');
      const { session, token } = await open(alice);
      const mallory = await as('mallory');
      expect(await claim(mallory, { session, token, after: 0 })).toMatchObject({ resumed: false, reason: 'unknown' });
      const again = await as('alice');
      expect(await claim(again, { session, token, after: 0 })).toMatchObject({ resumed: true, session });
      await alice.closed;
    });
  });

  describe(`sessions before a NestJS service, with four queues of replies, on ${name}`, () => {
    const used = useStack({ REQUEST_STYLE: 'rpc', REPLY_SHARDS: '4' });
    let nest: NestService | undefined;
    afterAll(() => nest?.stop());

    test('need nothing of it: what it answers while clients are cut waits for them', async () => {
      const cutOff = await Promise.all(
        Array.from({ length: 12 }, async (_, n) => {
          const client = await connect(used);
          const { session, token } = await open(client);
          for (let m = 1; m <= 3; m += 1) {
            client.send({ action: 'send', id: `${m}`, session, data: { prompt: `${n}/${m}` } });
            await client.find((frame) => frame.event === 'ack' && frame.id === `${m}`);
          }
          await cut(client);
          return { session, token };
        }),
      );
      nest = await startNestService({
        AMQP_URL: used.stack.amqpUrl,
        API_QUEUE: used.apiQueue,
        WS_QUEUE: used.wsQueue,
        STYLE: 'rpc',
      });
      await nest.listening;
      await Promise.all(
        cutOff.map(async (claimed, n) => {
          const client = await connect(used);
          expect(await claim(client, claimed)).toMatchObject({ resumed: true });
          await client.find(({ seq, event }) => event === 'recv' && seq === 3, 20_000);
          expect(client.frames.slice(1)).toEqual(
            [1, 2, 3].map((m) => ({
              event: 'recv',
              seq: m,
              id: `${m}`,
              messageId: expect.any(String),
              data: { prompt: `${n}/${m}`, answeredBy: 'nest' },
            })),
          );
        }),
      );
    }, 60_000);
  });
}

interface Opened extends Frame {
  session: string;
  token: string;
  resumed: boolean;
}
