import { afterEach, expect, jest, test } from '@jest/globals';
import type { Membership } from '../../../lib/connections';
import { rememberedMemberships } from '../../../lib/session/membership';

const membership = { session: 'session_1', sessionEndsAt: 1_800_000_000_000 };
const realNow = Date.now;

/** A table that is asked, and answers when and what the test wants. */
function connectionTable() {
  const asked: {
    connectionId: string;
    plainUntil: number | undefined;
    answer(found: Membership | undefined | Error): void;
  }[] = [];
  const memberships = rememberedMemberships(
    (connectionId, plainUntil) =>
      new Promise((resolve, reject) => {
        const answer = (found: Membership | undefined | Error) =>
          found instanceof Error ? reject(found) : resolve(found);
        asked.push({ connectionId, plainUntil, answer });
      }),
  );
  return { asked, memberships };
}

function later(ms: number): void {
  const now = Date.now() + ms;
  jest.spyOn(Date, 'now').mockImplementation(() => now);
}

afterEach(() => {
  Date.now = realNow;
  jest.restoreAllMocks();
});

test('a session that was found once is never asked for again', async () => {
  const { asked, memberships } = connectionTable();
  const found = memberships.likely('c');
  asked[0]?.answer(membership);
  expect(await found).toEqual(membership);
  later(3_600_000);
  expect(await memberships.likely('c')).toEqual(membership);
  expect(await memberships.certain('c')).toEqual(membership);
  expect(asked).toHaveLength(1);
});

test('a plain connection that sends seldom is looked up each time, and nothing promised', async () => {
  later(0);
  const { asked, memberships } = connectionTable();
  for (let message = 0; message < 3; message += 1) {
    const found = memberships.likely('c');
    asked[message]?.answer(undefined);
    expect(await found).toBeUndefined();
    later(2500);
  }
  expect(asked.map(({ plainUntil }) => plainUntil)).toEqual([undefined, undefined, undefined]);
});

test('messages of one connection go on in the order in which they came, whichever answer is there first', async () => {
  const { asked, memberships } = connectionTable();
  const order: number[] = [];
  const all = [1, 2, 3].map((n) => memberships.likely('c').then(() => order.push(n)));
  asked[1]?.answer(undefined);
  await new Promise(setImmediate);
  expect(order).toEqual([]);
  asked[0]?.answer(undefined);
  await Promise.all(all);
  expect(order).toEqual([1, 2, 3]);
});

test('one that goes on is asked for once more in its lease, half a second shorter than the table is told', async () => {
  later(0);
  const { asked, memberships } = connectionTable();
  const found = ['c', 'c', 'c', 'd'].map((connectionId) => memberships.likely(connectionId));
  expect(asked.map(({ connectionId }) => connectionId)).toEqual(['c', 'c', 'd']);
  expect(asked.map(({ plainUntil }) => plainUntil)).toEqual([undefined, Date.now() + 3000, undefined]);
  for (const each of asked) each.answer(undefined);
  expect(await Promise.all(found)).toEqual([undefined, undefined, undefined, undefined]);
  later(2499);
  expect(await memberships.likely('c')).toBeUndefined();
  expect(asked).toHaveLength(3);
  later(1);
  const again = memberships.likely('c');
  expect(asked).toHaveLength(4);
  asked[3]?.answer(membership);
  expect(await again).toEqual(membership);
});

test('one that has gone on has the next lease without a look, and is looked up again once it was silent for a lease', async () => {
  later(0);
  const { asked, memberships } = connectionTable();
  const send = async () => {
    const before = asked.length;
    const found = memberships.likely('c');
    for (const each of asked.slice(before)) each.answer(undefined);
    await found;
  };
  for (const afterMs of [0, 0, 2499, 1, 2499, 2500, 5000]) {
    later(afterMs);
    await send();
  }
  const leases = asked.map(({ plainUntil }) => plainUntil !== undefined);
  expect(leases).toEqual([false, true, true, true, false]);
});

test('two messages wait a moment for a table that is silent, the next ones of the lease not at all', async () => {
  const { asked, memberships } = connectionTable();
  const startedAt = performance.now();
  expect(await memberships.likely('c')).toBeUndefined();
  const firstMs = performance.now() - startedAt;
  expect(firstMs).toBeGreaterThan(290);
  expect(await memberships.likely('c')).toBeUndefined();
  const twoMs = performance.now() - startedAt;
  for (let message = 0; message < 10; message += 1) expect(await memberships.likely('c')).toBeUndefined();
  expect(performance.now() - startedAt - twoMs).toBeLessThan(300);
  expect(asked).toHaveLength(2);
  // What comes late counts all the same.
  asked[1]?.answer(membership);
  expect(await memberships.likely('c')).toEqual(membership);
});

test('a table that fails makes nothing but plain connections, for a lease', async () => {
  const { asked, memberships } = connectionTable();
  const first = memberships.likely('c');
  asked[0]?.answer(new Error('throttled'));
  expect(await first).toBeUndefined();
  const second = memberships.likely('c');
  asked[1]?.answer(new Error('throttled'));
  await new Promise(setImmediate);
  asked[2]?.answer(new Error('throttled'));
  expect(await second).toBeUndefined();
  expect(await memberships.likely('c')).toBeUndefined();
  expect(asked).toHaveLength(3);
});

test('who must know for certain asks anew, promises the table nothing, and hears of its failure', async () => {
  const { asked, memberships } = connectionTable();
  const plain = memberships.likely('c');
  asked[0]?.answer(undefined);
  await plain;
  const failed = memberships.certain('c');
  expect(asked[1]?.plainUntil).toBeUndefined();
  asked[1]?.answer(new Error('throttled'));
  await expect(failed).rejects.toThrow('throttled');
  const found = memberships.certain('c');
  asked[2]?.answer(membership);
  expect(await found).toEqual(membership);
  expect(await memberships.likely('c')).toEqual(membership);
});

test('the connections that were seen last are remembered, ten thousand of them', async () => {
  const asked: string[] = [];
  const memberships = rememberedMemberships(async (connectionId) => {
    asked.push(connectionId);
    return membership;
  });
  await memberships.certain('first');
  await memberships.certain('second');
  for (let n = 0; n < 9_998; n += 1) await memberships.certain(String(n));
  await memberships.certain('first');
  await memberships.certain('one more');
  asked.length = 0;
  await memberships.certain('first');
  expect(asked).toEqual([]);
  await memberships.certain('second');
  expect(asked).toEqual(['second']);
});

test('where the table takes no writes it is read instead', async () => {
  later(0);
  const { asked, memberships } = connectionTable();
  const first = memberships.likely('c');
  asked[0]?.answer(undefined);
  await first;
  const second = memberships.likely('c');
  expect(asked[1]?.plainUntil).toBeDefined();
  asked[1]?.answer(new Error('throttled'));
  await new Promise(setImmediate);
  expect(asked[2]).toMatchObject({ connectionId: 'c', plainUntil: undefined });
  asked[2]?.answer(membership);
  expect(await second).toEqual(membership);
});
