import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { GatewayError } from '../../../lib/client';
import { admit, type Rig, readmit, startRig } from '../../helpers/client-library';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.stop());

/** The error with which it rejects. */
async function errorOf(promise: Promise<unknown>): Promise<GatewayError> {
  const error = await promise.then(
    () => expect('resolved').toBe('rejected'),
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(GatewayError);
  return error as GatewayError;
}

describe('a send', () => {
  test('resolves with its acknowledgement', async () => {
    const gateway = rig.connect();
    const sent = gateway.send({ prompt: 'hello' }, { id: '1' });
    const connection = await rig.server.connection();
    expect(await connection.acks()).toEqual({ action: 'send', id: '1', data: { prompt: 'hello' } });
    expect(await sent).toEqual({ id: '1', messageId: 'm-1' });
  });

  test('has an id that nobody else has', async () => {
    const gateway = rig.connect();
    const connection = await rig.server.connection();
    const acks = [gateway.send({}), gateway.send({})];
    await connection.acks();
    await connection.acks();
    const [first, second] = await Promise.all(acks);
    expect(first?.id).toMatch(/^[a-z\d]{10,64}$/);
    expect(first?.id).not.toBe(second?.id);
  });

  test('rejects with the code of its refusal', async () => {
    const gateway = rig.connect();
    const error = errorOf(gateway.send({}, { id: '1' }));
    const connection = await rig.server.connection();
    await connection.hears('send');
    connection.say({ event: 'error', id: '1', code: 'unroutable', message: 'No queue.', retryable: true });
    expect(await error).toMatchObject({ code: 'unroutable', message: 'No queue.', retryable: true, id: '1' });
    expect(gateway.told.error).toEqual([]);
  });

  test('is not refused by the error of another, which is told', async () => {
    const gateway = rig.connect();
    const sent = gateway.send({}, { id: '1' });
    const connection = await rig.server.connection();
    connection.say({ event: 'error', id: '2', code: 'internal', message: 'of another', retryable: false });
    connection.say({ event: 'error', id: null, code: 'bad_frame', message: 'of none', retryable: false });
    await connection.acks();
    await sent;
    expect(gateway.told.error.map(({ id, code }) => [id, code])).toEqual([
      ['2', 'internal'],
      [undefined, 'bad_frame'],
    ]);
  });

  test('rejects when its time is over, and may then be sent again', async () => {
    const gateway = rig.connect();
    const error = errorOf(gateway.send({}, { id: '1', timeoutMs: 50 }));
    const connection = await rig.server.connection();
    await connection.hears('send');
    expect(await error).toMatchObject({ code: 'timeout', retryable: true, id: '1' });
    const again = gateway.send({}, { id: '1', timeoutMs: Number.POSITIVE_INFINITY });
    await connection.acks({ duplicate: true });
    expect(await again).toEqual({ id: '1', messageId: 'm-1', duplicate: true });
  });

  test('rejects when its signal aborts, before or after it was written', async () => {
    const gateway = rig.connect();
    const before = await errorOf(gateway.send({}, { signal: AbortSignal.abort('too late') }));
    expect(before).toMatchObject({ code: 'aborted', retryable: false, cause: 'too late' });
    const abort = new AbortController();
    const error = errorOf(gateway.send({}, { signal: abort.signal }));
    const connection = await rig.server.connection();
    await connection.hears('send');
    abort.abort();
    expect(await error).toMatchObject({ code: 'aborted', cause: abort.signal.reason });
    expect(connection.said('send')).toHaveLength(1);
  });

  test.each([
    ['a text', 'hello' as unknown as object, '1'],
    ['a list', [1], '1'],
    ['nothing', undefined as unknown as object, '1'],
    ['an id that is empty', {}, ''],
    ['an id that is too long', {}, 'x'.repeat(65)],
    ['an id in other letters', {}, 'é'],
  ])('does not take %s', async (_, data, id) => {
    expect(await errorOf(rig.connect().send(data, { id }))).toMatchObject({
      code: 'invalid_message',
      retryable: false,
    });
  });

  test('does not take an id that another waits with', async () => {
    const gateway = rig.connect();
    gateway.send({}, { id: '1' }).catch(() => undefined);
    expect(await errorOf(gateway.send({}, { id: '1' }))).toMatchObject({ code: 'invalid_message' });
  });

  test('keeps the data as it was when it was sent', async () => {
    const gateway = rig.connect();
    const data = { prompt: 'before' };
    const sent = gateway.send(data);
    data.prompt = 'after';
    expect(await (await rig.server.connection()).acks()).toMatchObject({ data: { prompt: 'before' } });
    await sent;
  });

  test('above 128 KB is refused before it ends the connection', async () => {
    const gateway = rig.connect();
    const error = errorOf(gateway.send({ text: 'ü'.repeat(65_536) }));
    const connection = await rig.server.connection();
    expect(await error).toMatchObject({ code: 'too_large', retryable: false });
    expect(connection.said('send')).toEqual([]);
  });

  test('that a function of the gateway did not answer is unavailable, if it is the only one', async () => {
    const gateway = rig.connect();
    const error = errorOf(gateway.send({}));
    const connection = await rig.server.connection();
    await connection.hears('send');
    connection.say({ message: 'Internal server error', connectionId: 'c', requestId: 'r' });
    expect(await error).toMatchObject({ code: 'unavailable', retryable: true, cause: 'Internal server error' });
    const two = [gateway.send({}), gateway.send({})];
    connection.say({ message: 'Internal server error' });
    expect(await gateway.tells('error')).toMatchObject({ code: 'unavailable', id: undefined });
    await connection.acks();
    await connection.acks();
    await Promise.all(two);
  });
});

describe('without a connection', () => {
  test('sends wait, and go out once and in order', async () => {
    rig.server.answers.push(503);
    const gateway = rig.connect();
    await gateway.tells('state', ({ state }) => state === 'waiting');
    const acks = [1, 2, 3].map((n) => gateway.send({ n }));
    const connection = await rig.server.connection();
    for (const n of [1, 2, 3]) expect(await connection.acks()).toMatchObject({ data: { n } });
    await Promise.all(acks);
    expect(connection.said('send')).toHaveLength(3);
  });

  test('no more wait than the bound', async () => {
    const gateway = rig.connect({ maxQueued: 2 });
    const acks = [gateway.send({}), gateway.send({})];
    expect(await errorOf(gateway.send({}))).toMatchObject({ code: 'queue_full', retryable: true });
    const connection = await rig.server.connection();
    await connection.acks();
    await connection.acks();
    await Promise.all(acks);
    const third = gateway.send({});
    await connection.acks();
    await third;
  });

  test('one whose time is over is never sent', async () => {
    rig.server.answers.push(503);
    const gateway = rig.connect({}, { pauseMs: 1e6, longestPauseMs: 50 });
    expect(await errorOf(gateway.send({}, { timeoutMs: 1 }))).toMatchObject({ code: 'timeout' });
    const connection = await rig.server.connection();
    const sent = gateway.send({}, { id: 'later' });
    await connection.acks();
    await sent;
    expect(connection.said('send').map(({ id }) => id)).toEqual(['later']);
  });

  test('they reject when the gateway is closed, and so do later ones', async () => {
    const gateway = rig.connect();
    const error = errorOf(gateway.send({}));
    gateway.close();
    expect(await error).toMatchObject({ code: 'closed', retryable: false, cause: 'closed' });
    expect(await errorOf(gateway.send({}))).toMatchObject({ code: 'closed' });
  });
});

describe('a cut before the acknowledgement', () => {
  test('leaves the fate of a send unknown, which is told', async () => {
    const gateway = rig.connect();
    const error = errorOf(gateway.send({}, { id: '1' }));
    const connection = await rig.server.connection();
    await connection.hears('send');
    connection.cut();
    expect(await error).toMatchObject({ code: 'unavailable', retryable: true, id: '1' });
    const next = await rig.server.connection();
    const sent = gateway.send({}, { id: '2' });
    await next.acks();
    await sent;
    expect(next.said('send').map(({ id }) => id)).toEqual(['2']);
  });

  test('in a session makes it go out again, with the same id', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const first = await admit(rig.server);
    const acks = ['1', '2'].map((id) => gateway.send({}, { id }));
    await first.hears('send');
    expect(await first.hears('send')).toEqual({ action: 'send', id: '2', session: 'session_A', data: {} });
    first.cut();
    const second = await readmit(rig.server, 0);
    expect((await second.acks({ duplicate: true })).id).toBe('1');
    expect(await second.acks()).toEqual({ action: 'send', id: '2', session: 'session_A', data: {} });
    expect(await Promise.all(acks)).toEqual([
      { id: '1', messageId: 'm-1', duplicate: true },
      { id: '2', messageId: 'm-2' },
    ]);
  });

  test.each(['off', 'auto'] as const)('by its own size is not repeated, with session: %s', async (session) => {
    const gateway = rig.connect({ session });
    const first = session === 'auto' ? await admit(rig.server) : await rig.server.connection();
    const error = errorOf(gateway.send({ text: 'x'.repeat(40_000) }));
    await first.hears('send');
    first.close(1009);
    expect(await error).toMatchObject({ code: 'too_large', retryable: false });
  });
});

describe('a token that has expired', () => {
  const refusal = { event: 'error', code: 'unauthorized', message: 'The token has expired.', retryable: false };

  test('closes the gateway, where it cannot be had anew', async () => {
    const gateway = rig.connect({ token: 'old' });
    const error = errorOf(gateway.send({}, { id: '1' }));
    const connection = await rig.server.connection();
    await connection.hears('send');
    connection.say({ ...refusal, id: '1' });
    expect(await error).toMatchObject({ code: 'unauthorized', message: 'The token has expired.' });
    expect(gateway.told.state.at(-1)).toEqual({ state: 'closed', reason: 'unauthorized' });
    await connection.closed;
    expect(await rig.server.isAlone()).toBe(true);
  });

  test.each(['off', 'auto'] as const)(
    'is replaced, and the send goes out with the new one, with session: %s',
    async (session) => {
      let asked = 0;
      const gateway = rig.connect({ session, token: () => `t${++asked}` });
      const first = session === 'auto' ? await admit(rig.server) : await rig.server.connection();
      const sent = gateway.send({}, { id: '1' });
      await first.hears('send');
      first.say({ ...refusal, id: '1' });
      await first.closed;
      const second = session === 'auto' ? await readmit(rig.server, 0) : await rig.server.connection();
      expect(second.offered).toContain('bearer.t2');
      expect((await second.acks()).id).toBe('1');
      await sent;
    },
  );
});
