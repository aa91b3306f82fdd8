import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { admit, memoryStorage, type Rig, readmit, reply, startRig } from '../../helpers/client-library';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.stop());

const isOpen = ({ state }: { state: string }) => state === 'open';
const seqs = (replies: { seq?: number }[]) => replies.map(({ seq }) => seq);

/** Waits until the listeners have the reply `seq`. */
async function has(gateway: ReturnType<Rig['connect']>, seq: number): Promise<void> {
  if (gateway.told.recv.some((told) => told.seq === seq)) return;
  await gateway.tells('recv', (told) => told.seq === seq);
}

describe('a session', () => {
  test('is opened before anything is sent, and told without its secret', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const sent = gateway.send({}, { id: '1' });
    const connection = await rig.server.connection();
    const claim = await connection.hears('session');
    expect(claim).toEqual({ action: 'session', id: expect.any(String), batches: true });
    expect(gateway.state).toBe('connecting');
    const answer = { event: 'session', id: claim.id, session: 'session_A', token: 's', resumed: false };
    connection.say({ ...answer, ttlSeconds: 300, seq: 0 });
    expect(await connection.acks()).toEqual({ action: 'send', id: '1', session: 'session_A', data: {} });
    await sent;
    const told = { session: 'session_A', resumed: false, ttlSeconds: 300, seq: 0 };
    expect(gateway.told.session).toEqual([told]);
    expect(gateway.session).toEqual(told);
    expect(gateway.told.state).toEqual([{ state: 'open' }]);
  });

  test('has several replies in one frame, each for itself', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const connection = await admit(rig.server);
    const error = { event: 'error', id: '1', code: 'internal', message: 'no credit', retryable: false, data: {} };
    connection.say([reply(1), reply(3), reply(1)]);
    connection.say([reply(2), { ...error, seq: 4 }, reply(5)]);
    await has(gateway, 5);
    expect(seqs(gateway.told.recv)).toEqual([1, 2, 3, 5]);
    expect(gateway.told.error).toMatchObject([{ code: 'internal', message: 'no credit' }]);
    connection.say([]);
    connection.say([reply(6)]);
    await has(gateway, 6);
  });

  test('that ends in the midst of a frame hands nothing over after that', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const connection = await admit(rig.server);
    gateway.on('recv', ({ seq }) => seq === 2 && gateway.close());
    connection.say([reply(1), reply(2), reply(3)]);
    await connection.closed;
    expect(seqs(gateway.told.recv)).toEqual([1, 2]);
  });

  test('may be the moment to close', async () => {
    const gateway = rig.connect({ session: 'auto' });
    gateway.on('session', () => gateway.close());
    const connection = await admit(rig.server);
    await connection.closed;
    expect(gateway.state).toBe('closed');
    expect(gateway.told.state).toEqual([{ state: 'closed', reason: 'closed' }]);
    await expect(gateway.send({})).rejects.toMatchObject({ code: 'closed' });
    expect(connection.said('send')).toEqual([]);
  });

  test('is none unless it is asked for', async () => {
    const gateway = rig.connect();
    const sent = gateway.send({});
    const connection = await rig.server.connection();
    expect(Object.keys(await connection.acks())).toEqual(['action', 'id', 'data']);
    await sent;
    expect(connection.said('session')).toEqual([]);
    expect(gateway.session).toBeUndefined();
  });

  test('is resumed after a cut, from the last reply that was handed over', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const first = await admit(rig.server);
    for (const seq of [1, 2, 4]) first.say(reply(seq));
    await has(gateway, 2);
    first.cut();
    const second = await rig.server.connection();
    const claim = await second.claimed({ session: 'session_A', token: 'secret of session_A', resumed: true, seq: 4 });
    expect(claim).toMatchObject({ session: 'session_A', token: 'secret of session_A', after: 2 });
    for (const seq of [3, 4, 5]) second.say(reply(seq));
    await has(gateway, 5);
    expect(seqs(gateway.told.recv)).toEqual([1, 2, 3, 4, 5]);
    expect(gateway.told.session.at(-1)).toMatchObject({ resumed: true });
    expect(gateway.session).toMatchObject({ session: 'session_A', seq: 5 });
  });

  test('that is refused is told with its reason, and what was pending goes out again', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const first = await admit(rig.server);
    first.say(reply(1));
    first.say(reply(3));
    await has(gateway, 1);
    const sent = gateway.send({}, { id: '1' });
    await first.hears('send');
    first.cut();
    const second = await rig.server.connection();
    await second.claimed({ session: 'session_B', token: 'b', resumed: false, reason: 'unknown', seq: 0 });
    expect(await second.acks()).toMatchObject({ id: '1', session: 'session_B' });
    await sent;
    expect(gateway.told.session.at(-1)).toMatchObject({ session: 'session_B', resumed: false, reason: 'unknown' });
    for (const seq of [1, 2]) second.say(reply(seq));
    await has(gateway, 2);
    expect(seqs(gateway.told.recv)).toEqual([1, 1, 2]);
  });

  test('that is taken over by somebody else is not taken back', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const connection = await admit(rig.server);
    await gateway.tells('state', isOpen);
    connection.say({ event: 'session', session: 'session_A', ended: 'taken_over' });
    await connection.closed;
    expect(gateway.told.state.at(-1)).toEqual({ state: 'closed', reason: 'taken_over' });
    await expect(gateway.send({})).rejects.toMatchObject({ code: 'closed', cause: 'taken_over' });
    expect(await rig.server.isAlone()).toBe(true);
  });

  test('that has ended by a bound is claimed again, to be told why', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const first = await admit(rig.server);
    first.say({ event: 'session', session: 'session_A', ended: 'too_many_replies' });
    await first.closed;
    const second = await rig.server.connection();
    await second.claimed({ session: 'session_B', token: 'b', resumed: false, reason: 'too_many_replies', seq: 0 });
    expect(await gateway.tells('session')).toMatchObject({ resumed: false, reason: 'too_many_replies' });
  });
});

describe('a claim', () => {
  test.each([
    ['an error that may pass', { event: 'error', code: 'unavailable', message: 'No store.', retryable: true }],
    ['a frame of API Gateway', { message: 'Internal server error', connectionId: 'c', requestId: 'r' }],
    ['nothing', undefined],
  ])('that is answered by %s is made again on another connection', async (_, answer) => {
    const gateway = rig.connect({ session: 'auto' }, { claimMs: 100 });
    const first = await rig.server.connection();
    const { id } = await first.hears('session');
    if (answer) first.say('event' in answer ? { ...answer, id } : answer);
    await first.closed;
    await admit(rig.server);
    await gateway.tells('state', isOpen);
    expect(gateway.told.error).toMatchObject([{ code: 'connect_failed' }]);
  });

  test('that is lost with its connection is made again', async () => {
    rig.connect({ session: 'auto' });
    const first = await rig.server.connection();
    await first.hears('session');
    first.cut();
    await admit(rig.server);
  });

  test('that a function died of after its answer is made again, on another connection', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const first = await admit(rig.server);
    const sent = gateway.send({}, { id: '1' });
    await first.hears('send');
    first.say({ message: 'Internal server error', connectionId: 'c', requestId: 'r' });
    await first.closed;
    const second = await readmit(rig.server, 0);
    expect(await second.acks()).toMatchObject({ action: 'send', id: '1' });
    await sent;
  });

  test('at a gateway without sessions closes', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const connection = await rig.server.connection();
    const { id } = await connection.hears('session');
    connection.say({ event: 'error', id, code: 'unknown_action', message: 'No.', retryable: false });
    expect(await gateway.tells('state')).toEqual({ state: 'closed', reason: 'refused' });
  });
});

describe('replies in a session', () => {
  test('that come twice are handed over once', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const connection = await admit(rig.server);
    for (const seq of [1, 1, 2, 1, 2, 3]) connection.say(reply(seq));
    await has(gateway, 3);
    expect(seqs(gateway.told.recv)).toEqual([1, 2, 3]);
  });

  test('that overtake others are held back, and those are asked for', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const connection = await admit(rig.server);
    for (const seq of [1, 4, 3]) connection.say(reply(seq));
    const claim = await connection.hears('session');
    expect(claim).toMatchObject({ session: 'session_A', token: 'secret of session_A', after: 1 });
    const answer = {
      event: 'session',
      id: claim.id,
      session: 'session_A',
      token: 'secret of session_A',
      resumed: true,
    };
    connection.say({ ...answer, ttlSeconds: 300, seq: 4 });
    for (const seq of [2, 3, 4]) connection.say(reply(seq));
    await has(gateway, 4);
    expect(seqs(gateway.told.recv)).toEqual([1, 2, 3, 4]);
    expect(gateway.told.session).toHaveLength(1);
    expect(gateway.state).toBe('open');
  });

  test('that are missing are asked for also while others keep coming', async () => {
    rig.connect({ session: 'auto' });
    const connection = await admit(rig.server);
    let isAsked = false;
    const asked = connection.hears('session').then(() => {
      isAsked = true;
    });
    let seq = 2;
    for (; !isAsked && seq < 500; seq += 1) {
      connection.say(reply(seq));
      await rig.server.isAlone(5);
    }
    await asked;
    expect(seq).toBeLessThan(500);
  });

  test('are held back up to as many as the gateway keeps; those beyond are asked for', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const connection = await admit(rig.server);
    connection.say(reply(1002));
    for (let seq = 1; seq <= 1001; seq += 1) connection.say(reply(seq));
    expect(await connection.hears('session')).toMatchObject({ after: 1001 });
    expect(gateway.told.recv).toHaveLength(1001);
  });

  test('that are announced and do not come are asked for', async () => {
    const gateway = rig.connect({ session: 'auto' });
    (await admit(rig.server)).cut();
    const second = await readmit(rig.server, 2);
    second.say(reply(1));
    expect(await second.hears('session')).toMatchObject({ after: 1 });
    await has(gateway, 1);
  });

  test.each([true, false])(
    'are asked for on a new connection after an error, be it retryable: %s',
    async (retryable) => {
      rig.connect({ session: 'auto' });
      const first = await admit(rig.server);
      first.say(reply(2));
      const { id } = await first.hears('session');
      first.say({ event: 'error', id, code: 'unavailable', message: 'No store.', retryable });
      await first.closed;
      const second = await rig.server.connection();
      expect(await second.hears('session')).toMatchObject({ session: 'session_A', after: 0 });
    },
  );

  test('are told to the gateway as received: the last of several', async () => {
    const gateway = rig.connect({ session: 'auto' }, { receivedMs: 50 });
    const connection = await admit(rig.server);
    for (const seq of [1, 2, 3]) connection.say(reply(seq));
    expect(await connection.hears('received')).toMatchObject({ seq: 3 });
    connection.say(reply(4));
    await has(gateway, 4);
    gateway.close();
    expect(await connection.hears('received')).toMatchObject({ seq: 4 });
    await connection.closed;
    expect(connection.said('received')).toHaveLength(2);
  });

  test('are told as received again after a cut, which may have lost it; and a refusal of that is no error', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const first = await admit(rig.server);
    first.say(reply(1));
    await first.hears('received');
    first.cut();
    const second = await readmit(rig.server, 1);
    const { id, seq } = await second.hears('received');
    expect(seq).toBe(1);
    second.say({ event: 'error', id, code: 'unavailable', message: 'No store.', retryable: true });
    second.say(reply(2));
    await has(gateway, 2);
    expect(gateway.told.error).toEqual([]);
  });

  test('are all handed over where a listener throws', async () => {
    const gateway = rig.connect({ session: 'auto' });
    gateway.on('recv', () => {
      throw new Error('a bug');
    });
    const connection = await admit(rig.server);
    for (const seq of [1, 2]) connection.say(reply(seq));
    await has(gateway, 2);
    expect(gateway.told.error).toMatchObject([{ code: 'listener_failed' }, { code: 'listener_failed' }]);
  });

  test('are not handed over once a listener has closed the gateway', async () => {
    const gateway = rig.connect({ session: 'auto' });
    gateway.on('recv', () => gateway.close());
    const connection = await admit(rig.server);
    for (const seq of [3, 2, 1]) connection.say(reply(seq));
    expect(await connection.hears('received')).toMatchObject({ seq: 1 });
    await connection.closed;
    expect(seqs(gateway.told.recv)).toEqual([1]);
  });
});

describe('a reload', () => {
  test('resumes the session from the storage', async () => {
    const storage = memoryStorage();
    const before = rig.connect({ session: 'auto', storage });
    const first = await admit(rig.server);
    first.say(reply(1));
    await has(before, 1);
    before.close();
    const after = rig.connect({ session: 'auto', storage });
    const second = await rig.server.connection();
    expect(await second.hears('session')).toMatchObject({
      session: 'session_A',
      token: 'secret of session_A',
      after: 1,
    });
    second.say({ event: 'session', session: 'session_A', token: 't', resumed: true, ttlSeconds: 300, seq: 2 });
    for (const seq of [1, 2]) second.say(reply(seq));
    await has(after, 2);
    expect(seqs(after.told.recv)).toEqual([2]);
  });

  test('gives a reply again whose listeners had not returned, and no other', async () => {
    const storage = memoryStorage();
    const gateway = rig.connect({ session: 'auto', storage, storageKey: 'mine' });
    const stored: unknown[] = [];
    gateway.on('recv', () => stored.push(JSON.parse(storage.getItem('mine') ?? '').after));
    const connection = await admit(rig.server);
    for (const seq of [1, 2]) connection.say(reply(seq));
    await connection.hears('received');
    expect(stored).toEqual([0, 1]);
    expect(JSON.parse(storage.getItem('mine') ?? '').after).toBe(2);
  });

  test('keeps the sessions of two gateways apart, and no query of a URL', async () => {
    const storage = memoryStorage();
    const { url } = rig.server;
    Object.defineProperty(rig.server, 'url', { value: `${url}/?token=secret` });
    rig.connect({ session: 'auto', storage });
    await admit(rig.server);
    rig.connect({ session: 'auto', storage, storageKey: 'another' });
    const second = await rig.server.connection();
    expect(await second.hears('session')).not.toHaveProperty('session');
    expect(storage.items.has(`ws-gateway ${url}/`)).toBe(true);
  });

  test.each([
    ['rubbish', 'rubbish'],
    ['nothing', 'null'],
    ['a number', '5'],
  ])('with %s in the storage opens a session', async (_, saved) => {
    const storage = { getItem: () => saved, setItem: () => undefined };
    const gateway = rig.connect({ session: 'auto', storage });
    const connection = await rig.server.connection();
    expect(await connection.hears('session')).toEqual({ action: 'session', id: expect.any(String), batches: true });
    connection.say({ event: 'session', session: 'session_A', token: 't', resumed: false, ttlSeconds: 300, seq: 0 });
    connection.say(reply(1));
    await has(gateway, 1);
  });

  test('with what is no session in the storage opens one on the same connection', async () => {
    const storage = { getItem: () => '{"session":1,"token":[],"after":"x"}', setItem: () => undefined };
    const gateway = rig.connect({ session: 'auto', storage });
    const connection = await rig.server.connection();
    const { id } = await connection.hears('session');
    connection.say({ event: 'error', id, code: 'invalid_message', message: 'No session.', retryable: false });
    await connection.claimed({ session: 'session_B', token: 'b', resumed: false, seq: 0 });
    connection.say(reply(1));
    await has(gateway, 1);
  });

  test('is survived by a storage that throws', async () => {
    const storage = {
      getItem: () => {
        throw new Error('forbidden');
      },
      setItem: () => {
        throw new Error('full');
      },
    };
    const gateway = rig.connect({ session: 'auto', storage });
    const connection = await admit(rig.server);
    connection.say(reply(1));
    await has(gateway, 1);
    expect(gateway.told.error).toEqual([]);
  });
});
