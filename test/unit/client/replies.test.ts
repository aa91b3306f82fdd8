import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Replies } from '../../../lib/client';
import { admit, type Rig, readmit, reply, startRig } from '../../helpers/client-library';

let rig: Rig;
beforeEach(async () => {
  rig = await startRig();
});
afterEach(() => rig.stop());

/** The data of this many replies; then the loop is left. */
async function take(replies: Replies, count: number): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const { data } of replies) if (taken.push(data) === count) break;
  return taken;
}

describe('the replies to a send', () => {
  test('come in order, also those before the acknowledgement, whatever their names', async () => {
    const gateway = rig.connect();
    const replies = gateway.replies();
    const sent = gateway.send({}, { id: replies.id });
    const connection = await rig.server.connection();
    const { id } = await connection.hears('send');
    expect(id).toBe(replies.id);
    connection.say({ event: 'progress', id, data: 1 });
    connection.say({ event: 'ack', id, messageId: 'm' });
    connection.say({ event: 'recv', id: 'another', data: 'of another' });
    connection.say({ event: 'recv', data: 'of none' });
    connection.say({ event: 'done', id, data: 2 });
    expect(await take(replies, 2)).toEqual([1, 2]);
    await sent;
    expect(gateway.told.recv.map(({ event }) => event)).toEqual(['progress', 'recv', 'recv', 'done']);
  });

  test('are several streams where there are several sends', async () => {
    const gateway = rig.connect();
    const streams = ['a', 'b'].map((id) => gateway.replies(id));
    const connection = await rig.server.connection();
    for (const id of ['a', 'b', 'b', 'a']) connection.say({ event: 'recv', id, data: id });
    expect(await Promise.all(streams.map((stream) => take(stream, 2)))).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ]);
  });

  test('end by cancel, also while they are awaited', async () => {
    const gateway = rig.connect();
    const replies = gateway.replies('1');
    const connection = await rig.server.connection();
    connection.say({ event: 'recv', id: '1', data: 'not read' });
    await gateway.tells('recv');
    replies.cancel();
    expect(await take(replies, 1)).toEqual([]);
    const awaited = gateway.replies('1');
    const taken = take(awaited, 1);
    awaited.cancel();
    expect(await taken).toEqual([]);
  });

  test('are not kept once the loop is left', async () => {
    const gateway = rig.connect();
    const replies = gateway.replies('1');
    const connection = await rig.server.connection();
    for (const data of [1, 2]) connection.say({ event: 'recv', id: '1', data });
    expect(await take(replies, 1)).toEqual([1]);
    expect(await replies.next()).toEqual({ done: true, value: undefined });
  });

  test('end with an error where more wait than are buffered, after those', async () => {
    const gateway = rig.connect();
    const replies = gateway.replies('1', { maxBuffered: 2 });
    const connection = await rig.server.connection();
    for (const data of [1, 2, 3]) connection.say({ event: 'recv', id: '1', data });
    await gateway.tells('recv', ({ data }) => data === 3);
    await sleep(20);
    expect(await replies.next()).toMatchObject({ value: { data: 1 } });
    expect(await replies.next()).toMatchObject({ value: { data: 2 } });
    expect(await replies.next()).toMatchObject({ value: { data: 3 } });
    connection.say({ event: 'recv', id: '1', data: 4 });
    await gateway.tells('recv', ({ data }) => data === 4);
    await expect(replies.next()).rejects.toMatchObject({ code: 'buffer_full', id: '1' });
    expect(await replies.next()).toMatchObject({ done: true });
  });

  test('go on where more come in one frame than are buffered, and the loop reads them', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const replies = gateway.replies('1', { maxBuffered: 2 });
    const connection = await admit(rig.server);
    const first = take(replies, 30);
    connection.say(Array.from({ length: 30 }, (_, n) => ({ event: 'recv', seq: n + 1, id: '1', data: n })));
    expect(await first).toEqual(Array.from({ length: 30 }, (_, n) => n));
  });

  test('end with the error of the service, after those before it; which is told to listeners too', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const replies = gateway.replies('1');
    const connection = await admit(rig.server);
    const error = { event: 'error', id: '1', code: 'internal', message: 'no credit', retryable: false };
    connection.say({ ...error, seq: 2, messageId: 'r-2', data: { credit: 0 } });
    connection.say(reply(1, { id: '1' }));
    await expect(take(replies, 9)).rejects.toMatchObject({
      code: 'internal',
      message: 'no credit',
      data: { credit: 0 },
    });
    expect(gateway.told.error).toMatchObject([{ code: 'internal', id: '1', data: { credit: 0 } }]);
    expect(await connection.hears('received')).toMatchObject({ seq: 2 });
  });

  test('end with the refusal of the send', async () => {
    const gateway = rig.connect();
    const replies = gateway.replies('1');
    gateway.send({}, { id: '1', timeoutMs: 20 }).catch(() => undefined);
    await expect(replies.next()).rejects.toMatchObject({ code: 'timeout', id: '1' });
  });

  test('end where the gateway is closed', async () => {
    const gateway = rig.connect();
    const awaited = gateway.replies('1').next();
    gateway.close();
    await expect(awaited).rejects.toMatchObject({ code: 'closed', cause: 'closed' });
  });

  test('end where another loop asks for the same', async () => {
    const gateway = rig.connect();
    const first = gateway.replies('1').next();
    const second = gateway.replies('1');
    expect(await first).toMatchObject({ done: true });
    (await rig.server.connection()).say({ event: 'recv', id: '1', data: 1 });
    expect(await take(second, 1)).toEqual([1]);
  });
});

describe('a cut between the acknowledgement and the replies', () => {
  test('loses them without a session, which is told', async () => {
    const gateway = rig.connect();
    const [lost, notYetSent] = [gateway.replies('1'), gateway.replies('2')];
    const sent = gateway.send({}, { id: '1' });
    const first = await rig.server.connection();
    await first.acks();
    await sent;
    first.cut();
    await expect(lost.next()).rejects.toMatchObject({ code: 'replies_lost', retryable: true, id: '1' });
    const second = await rig.server.connection();
    gateway.send({}, { id: '2' }).catch(() => undefined);
    await second.acks();
    second.say({ event: 'recv', id: '2', data: 2 });
    expect(await take(notYetSent, 1)).toEqual([2]);
  });

  test('in a session loses none', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const replies = gateway.replies('1');
    const sent = gateway.send({}, { id: '1' });
    const first = await admit(rig.server);
    await first.acks();
    await sent;
    first.say(reply(1, { id: '1' }));
    await gateway.tells('recv');
    first.cut();
    const second = await readmit(rig.server, 2);
    second.say(reply(2, { id: '1' }));
    expect(await take(replies, 2)).toEqual([{ seq: 1 }, { seq: 2 }]);
  });

  test('and the end of the session loses those that were acknowledged in it, and no others', async () => {
    const gateway = rig.connect({ session: 'auto' });
    const [acknowledged, pending] = [gateway.replies('1'), gateway.replies('2')];
    const sent = gateway.send({}, { id: '1' });
    const first = await admit(rig.server);
    await first.acks();
    await sent;
    const repeated = gateway.send({}, { id: '2' });
    await first.hears('send');
    first.cut();
    const second = await rig.server.connection();
    await second.claimed({ session: 'session_B', token: 'b', resumed: false, reason: 'too_old', seq: 0 });
    await expect(acknowledged.next()).rejects.toMatchObject({ code: 'replies_lost', id: '1' });
    await second.acks();
    await repeated;
    second.say(reply(1, { id: '2' }));
    expect(await take(pending, 1)).toEqual([{ seq: 1 }]);
  });
});
