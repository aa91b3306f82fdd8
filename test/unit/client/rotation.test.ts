import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { admit, type Recorded, type Rig, readmit, reply, startRig } from '../../helpers/client-library';
import type { Connection } from '../../helpers/scripted-gateway';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.stop());

const isOpen = ({ state }: { state: string }) => state === 'open';
const rotateMs = 100;

/** Waits until the client knows that this connection is open: by a frame that comes on it. */
async function isHeard(gateway: Recorded, connection: Connection): Promise<void> {
  const heard = gateway.tells('recv', ({ event }) => event === 'greeting');
  connection.say({ event: 'greeting', data: {} });
  await heard;
}

describe('a connection with a session that gets old', () => {
  test('is replaced by one that takes the session over, and nobody notices', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs });
    const first = await admit(rig.server);
    first.say(reply(1));
    const second = await rig.server.connection();
    const claim = await second.hears('session');
    expect(claim).toMatchObject({ session: 'session_A', after: 1 });
    first.say({ event: 'session', session: 'session_A', ended: 'taken_over' });
    first.say(reply(2));
    first.close();
    await first.closed;
    const sent = gateway.send({}, { id: '1' });
    second.say({ event: 'session', session: 'session_A', token: 't', resumed: true, ttlSeconds: 300, seq: 3 });
    for (const seq of [2, 3]) second.say(reply(seq));
    expect(await second.acks()).toMatchObject({ id: '1', session: 'session_A' });
    await sent;
    expect(gateway.told.recv.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(gateway.told.state).toEqual([{ state: 'open' }]);
    expect(gateway.told.error).toEqual([]);
  });

  test('is closed by the client, if not by the gateway', async () => {
    rig.connect({ session: 'auto', rotateMs });
    const first = await admit(rig.server);
    await readmit(rig.server, 0);
    await first.closed;
  });

  test('does not tell what it brings as received while the next is about to resume before that', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs }, { receivedMs: 1 });
    const first = await admit(rig.server);
    const second = await rig.server.connection();
    const { id, after } = await second.hears('session');
    expect(after).toBe(0);
    first.say(reply(1));
    await isHeard(gateway, first);
    // Longer than it takes to tell.
    await rig.server.isAlone(20);
    second.say({ event: 'session', id, session: 'session_A', token: 't', resumed: true, ttlSeconds: 300, seq: 1 });
    expect(await second.hears('received')).toMatchObject({ seq: 1 });
    expect(first.said('received')).toEqual([]);
  });

  test('acknowledges what it was sent before it is left', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs });
    const first = await admit(rig.server);
    const sent = gateway.send({}, { id: '1' });
    await first.hears('send');
    const second = await rig.server.connection();
    await isHeard(gateway, second);
    const later = gateway.send({}, { id: '2' });
    expect(second.frames).toEqual([]);
    first.say({ event: 'ack', id: '1', messageId: 'm-1' });
    await sent;
    await second.claimed({ session: 'session_A', token: 't', resumed: true, seq: 0 });
    await second.acks();
    await later;
    expect(first.said('send').map(({ id }) => id)).toEqual(['1']);
    expect(second.said('send').map(({ id }) => id)).toEqual(['2']);
  });

  test('is left without its acknowledgements where they take too long: the sends go out again', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs }, { drainMs: 50 });
    const first = await admit(rig.server);
    const sent = gateway.send({}, { id: '1' });
    await first.hears('send');
    const second = await readmit(rig.server, 0);
    expect((await second.acks({ duplicate: true })).id).toBe('1');
    expect(await sent).toMatchObject({ duplicate: true });
  });

  test('that ends while its acknowledgements are awaited is left at once', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs }, { drainMs: 1e6 });
    const first = await admit(rig.server);
    const sent = gateway.send({}, { id: '1' });
    await first.hears('send');
    const second = await rig.server.connection();
    await isHeard(gateway, second);
    expect(second.frames).toEqual([]);
    first.cut();
    await second.claimed({ session: 'session_A', token: 't', resumed: true, seq: 0 });
    await second.acks();
    await sent;
  });

  test('goes on where another cannot be had, which is tried again', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs });
    const first = await admit(rig.server);
    rig.server.answers.push(503, 503);
    expect(await gateway.tells('error')).toMatchObject({ code: 'connect_failed' });
    expect(gateway.state).toBe('open');
    const sent = gateway.send({});
    await first.acks();
    await sent;
    await readmit(rig.server, 0);
    expect(gateway.told.state).toEqual([{ state: 'open' }]);
  });

  test('is left also where a claim was not answered: it may have been heard', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs });
    const first = await admit(rig.server);
    const second = await rig.server.connection();
    const { id } = await second.hears('session');
    second.say({ event: 'error', id, code: 'unavailable', message: 'No store.', retryable: true });
    await first.closed;
    const third = await readmit(rig.server, 1);
    third.say(reply(1));
    await gateway.tells('recv');
  });

  test('lets somebody else have the session before it has claimed it', async () => {
    const gateway = rig.connect({ session: 'auto', rotateMs }, { drainMs: 1e6 });
    const first = await admit(rig.server);
    gateway.send({}).catch(() => undefined);
    await first.hears('send');
    const second = await rig.server.connection();
    await isHeard(gateway, second);
    first.say({ event: 'session', session: 'session_A', ended: 'taken_over' });
    await Promise.all([first.closed, second.closed]);
    expect(gateway.told.state.at(-1)).toEqual({ state: 'closed', reason: 'taken_over' });
  });
});

describe('a connection without a session that gets old', () => {
  test('sends no more, and still brings the replies to what it has sent', async () => {
    const gateway = rig.connect({ rotateMs });
    const first = await rig.server.connection();
    const before = gateway.replies('1');
    const sent = gateway.send({}, { id: '1' });
    await first.hears('send');
    const second = await rig.server.connection();
    await isHeard(gateway, second);
    first.say({ event: 'ack', id: '1', messageId: 'm-1' });
    await sent;
    const after = gateway.replies('2');
    const later = gateway.send({}, { id: '2' });
    await second.acks();
    await later;
    first.say({ event: 'recv', id: '1', data: 'late' });
    expect(await before.next()).toMatchObject({ value: { data: 'late' } });
    first.close();
    await expect(before.next()).rejects.toMatchObject({ code: 'replies_lost' });
    second.say({ event: 'recv', id: '2', data: 'in time' });
    expect(await after.next()).toMatchObject({ value: { data: 'in time' } });
    expect(gateway.told.state).toEqual([{ state: 'open' }]);
  });

  test('is closed when the next one gets old too, and with the gateway', async () => {
    const gateway = rig.connect({ rotateMs });
    const first = await rig.server.connection();
    const second = await rig.server.connection();
    await rig.server.connection();
    await first.closed;
    gateway.close();
    await second.closed;
  });
});

test('a connection is replaced before its time, each at a moment of its own', async () => {
  const gateway = rig.connect({ rotateMs: 200 });
  await gateway.tells('state', isOpen);
  const openedAt = Date.now();
  await rig.server.connection();
  await rig.server.connection();
  expect(Date.now() - openedAt).toBeGreaterThanOrEqual(175);
});
