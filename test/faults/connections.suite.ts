import { describe, expect } from '@jest/globals';
import { defaultLimits } from '../../lib/delivery';
import type { Verdict } from '../../lib/judge';
import type { Outcome } from '../helpers/management-api';
import type { Row } from './books';
import { fault, type TestBroker } from './faults';
import type { Rig } from './rig';

/**
 * @connections fails: for one client, of whom the others notice nothing, or for all. What it does not take is
 * dead-lettered with the verdict that fits, or was for a client that has left.
 */

interface ConnectionFault {
  name: string;
  /** To the n-th post (from 0) to a connection since the fault struck, `ms` milliseconds after that. */
  answer(n: number, ms: number): Outcome;
  /** Of the load. More of them get fewer replies each, and so fewer batches wait for one that fails. */
  connections?: number;
  /** What becomes of replies that are not delivered. */
  verdict: Verdict;
}

/** Then all is well again. */
const lasting =
  (seconds: number, answer: (n: number) => Outcome): ConnectionFault['answer'] =>
  (n, ms) =>
    ms < seconds * 1000 ? answer(n) : 200;

/** No repetition mends these. */
const refusals: ConnectionFault[] = [
  { name: 'answers 410', answer: () => 410, verdict: 'gone' },
  { name: 'answers 413', answer: () => 413, verdict: 'too_large' },
  { name: 'answers 403', answer: () => 403, verdict: 'forbidden' },
];
/** Over before a reply is given up. */
const hiccups: ConnectionFault[] = [
  { name: 'answers 429 in bursts', answer: (n) => (n % 6 < 3 ? 429 : 200), verdict: 'throttled' },
  {
    name: 'resets before and in an error',
    answer: (n) => (['reset', { status: 500, midway: 'reset' }, 200] as const)[n % 3] as Outcome,
    verdict: 'throttled',
  },
  {
    name: 'needs 1 s for each answer, for 4 s',
    answer: lasting(4, () => ({ status: 200, delayMs: 1000 })),
    connections: 125,
    verdict: 'throttled',
  },
];
/** The frame is taken, and the gateway does not see the end of the answer. */
const cutOff: ConnectionFault = {
  name: 'resets in mid-answer',
  answer: () => ({ status: 200, midway: 'reset' }),
  verdict: 'throttled',
};
/** Longer than the time after which a batch gives up what alone fails, twice over. */
const serverErrors: ConnectionFault = {
  name: 'answers 500 and 504 for 7 s',
  answer: lasting(7, (n) => (n % 2 === 0 ? 500 : 504)),
  verdict: 'throttled',
};
const hanging: ConnectionFault = { name: 'hangs for 7 s', answer: lasting(7, () => 'hang'), verdict: 'throttled' };
const endless: ConnectionFault[] = [
  { name: 'answers 429 without end', answer: () => 429, connections: 125, verdict: 'throttled' },
  { name: 'hangs without end', answer: () => 'hang', connections: 125, verdict: 'throttled' },
];
/** After the gateway's patience with one post. */
const late: ConnectionFault = {
  name: 'takes what it answers too late, for 4 s',
  answer: lasting(4, () => ({ status: 200, delayMs: defaultLimits.attemptMs + 500 })),
  verdict: 'throttled',
};

/** The one client. */
const struck = 'client-7';
/** Time enough on a slow machine. */
const consumerTimeoutMs = 30_000;

export function describeOneClient(broker: TestBroker): void {
  describe(`for one client, beside ${broker.name}`, () => {
    for (const each of [...refusals, ...hiccups, cutOff, serverErrors, ...endless, late]) {
      fault(broker, `one client: @connections ${each.name}`, { consumerTimeoutMs }, async (rig) => {
        const { posts, longestSilenceMs } = await strike(rig, each, (connectionId) => connectionId === struck);
        return (row) => {
          expectWhatBecame(row, rig, each);
          expect(posts()).toBeGreaterThan(0);
          for (const connectionId of clientsOf(rig)) {
            if (connectionId === struck) continue;
            expect(rig.books.arrivedAt(connectionId)).toEqual(rig.books.servedTo(connectionId));
          }
          // A batch ends when nothing was answered for the time of two attempts, long before its time is over.
          expect(longestSilenceMs()).toBeLessThan(4 * defaultLimits.attemptMs);
          const served = rig.books.servedTo(struck).length;
          if (hiccups.includes(each)) expect(row.deadLettered).toBeLessThan(served / 2);
          if (refusals.includes(each) || endless.includes(each)) {
            expect(row.gone + row.deadLettered).toBe(served - rig.books.arrivedAt(struck).length);
            expect(row.gone + row.deadLettered).toBeGreaterThan(0);
          }
          if (each === cutOff) expect(copiesAt(rig, struck)).toBeLessThan(posts() / 2);
          if (each === late) expect(copiesAt(rig, struck)).toBeGreaterThan(0);
        };
      });
    }
  });
}

export function describeAllClients(broker: TestBroker): void {
  describe(`for all clients, beside ${broker.name}`, () => {
    for (const each of [...refusals, ...hiccups, cutOff, serverErrors, hanging]) {
      fault(broker, `all clients: @connections ${each.name}`, { consumerTimeoutMs }, async (rig) => {
        const { posts } = await strike(rig, each, () => true);
        return (row) => {
          expectWhatBecame(row, rig, each);
          expect(posts()).toBeGreaterThan(0);
          if (refusals.includes(each)) expect(row.gone + row.deadLettered).toBeGreaterThanOrEqual(posts());
          // In an outage only a batch of which a part had been delivered gives the rest up; others wait for the end.
          else expect(givenUpWhole(rig)).toEqual([]);
          if (hiccups.includes(each)) expect(row.deadLettered).toBeLessThan(row.delivered);
          if (each === cutOff) expect(row.duplicated).toBeLessThan(posts() / 2);
        };
      });
    }
  });
}

/** Resolves at the end of the load; what it returns goes on counting. */
async function strike(rig: Rig, { answer, connections = 20 }: ConnectionFault, isStruck: (id: string) => boolean) {
  const running = rig.load({ connections });
  await rig.until(() => rig.api.posts.length >= 100);
  const startedAt = Date.now();
  const posts = new Map<string, number>();
  let failed = 0;
  let lastOfOthersAt = startedAt;
  let longestSilenceMs = 0;
  rig.answer((connectionId) => {
    const now = Date.now();
    if (!isStruck(connectionId)) {
      longestSilenceMs = Math.max(longestSilenceMs, now - lastOfOthersAt);
      lastOfOthersAt = now;
      return 200;
    }
    const n = posts.get(connectionId) ?? 0;
    posts.set(connectionId, n + 1);
    const outcome = answer(n, now - startedAt);
    if (outcome !== 200) failed += 1;
    return outcome;
  });
  await running.done;
  return {
    /** That the fault struck. */
    posts: () => failed,
    /** The longest time between two posts to others. */
    longestSilenceMs: () => longestSilenceMs,
  };
}

function expectWhatBecame(row: Row, rig: Rig, { verdict }: ConnectionFault): void {
  const { books, consumer } = rig;
  expect(row.acked).toBe(row.messages);
  expect([...books.verdicts.values()].filter((other) => other !== verdict)).toEqual([]);
  expect(verdict === 'gone' ? row.deadLettered : row.gone).toBe(0);
  for (const connectionId of clientsOf(rig)) {
    const arrived = books.arrivedAt(connectionId);
    expect(arrived).toEqual(books.servedTo(connectionId).filter((id) => books.hasArrived(id)));
  }
  expect(consumer).toMatchObject({ starts: 1, failures: [] });
}

/** Batches for several clients of which nothing was delivered. */
function givenUpWhole({ consumer }: Rig): unknown[] {
  return consumer.log.filter(({ count, verdicts }) => {
    const { throttled = 0 } = (verdicts ?? {}) as Partial<Record<Verdict, number>>;
    return throttled > 1 && throttled === count;
  });
}

function clientsOf({ api }: Rig): Set<string> {
  return new Set(api.posts);
}

function copiesAt({ api, books }: Rig, connectionId: string): number {
  return (api.taken.get(connectionId) ?? []).length - books.arrivedAt(connectionId).length;
}
