import { EventEmitter, once } from 'node:events';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Delivery, Properties } from '../../../lib/amqp';
import { apiGatewayClose } from '../../../lib/close';
import { encodeCorrelation } from '../../../lib/correlation';
import { type DeliveryLimits, type DeliveryPorts, defaultLimits, deliver } from '../../../lib/delivery';
import { maxFrameBytes } from '../../../lib/frames';
import type { LogFields } from '../../../lib/log';
import { newMessageId, sentAtOf } from '../../../lib/message-id';
import type { Measurements } from '../../../lib/metrics';
import { apiGatewayPost } from '../../../lib/post';
import { recentDeliveries } from '../../../lib/recent';
import { createSessions, type Sessions } from '../../../lib/session/sessions';
import { sessionLimits } from '../../../lib/session/state';
import { type Answer, type ManagementApi, startManagementApi } from '../../helpers/management-api';
import { memorySessionStore, noSessionRecords, type StoreStep } from '../../helpers/session-memory';
import { silentLog } from '../../helpers/silent-log';

/** Delivery to sessions: the real SDK posts to a local HTTP server, and the sessions are kept in memory. */

const limits: DeliveryLimits = {
  ...defaultLimits,
  attemptMs: 1000,
  pauseMs: 5,
  longestPauseMs: 20,
  deadLetterMs: 500,
  storeMs: 100,
};
const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
const soon = () => Date.now() + 5000;

let api: ManagementApi | undefined;

beforeAll(async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  // The SDK's first post, and its first closing, load half of it.
  const { post, close } = await gateway();
  await post('a', '{}', { timeoutMs: 10_000 });
  await close('a', undefined, Date.now() + 10_000);
  await api?.close();
});

afterEach(async () => {
  await api?.close();
  api = undefined;
});

interface World {
  answer?: Answer;
  answerToClose?: () => number;
  step?: (step: StoreStep) => Promise<void>;
  clock?: () => number;
  /** Of the row that is removed. */
  rowOf?: string;
  /** How long a batch waits for the store. */
  storeMs?: number;
}

/** A gateway with sessions. `restarted` is another process on the same table. */
async function gateway(world: World = {}) {
  api = await startManagementApi(world.answer, 0, world.answerToClose);
  const { url, taken, posts, closed } = api;
  const records = noSessionRecords();
  const operations: StoreStep[] = [];
  const deadLetters: { verdict: string; body: string }[] = [];
  const log: { message: string; fields: LogFields | undefined }[] = [];
  const measured: Measurements[] = [];
  const removed: string[] = [];

  const sessions = createSessions(
    memorySessionStore(records, async (step) => {
      if (step.moment === 'before') operations.push(step);
      await world.step?.(step);
    }),
    world.clock,
  );
  const post = apiGatewayPost(url, { region: 'us-east-1', credentials });
  const close = apiGatewayClose(url, { region: 'us-east-1', credentials });
  const start = (changes: Partial<DeliveryPorts> = {}) => {
    const ports: DeliveryPorts = {
      post,
      close,
      connections: {
        remove: async (connectionId) => {
          removed.push(connectionId);
          return { result: 'removed', ...(world.rowOf === undefined ? {} : { session: world.rowOf }) };
        },
      },
      sessions,
      deadLetters: {
        async add({ verdict, delivery }) {
          deadLetters.push({ verdict, body: String(delivery.body) });
        },
      },
      recent: recentDeliveries(),
      log: { ...silentLog, warn: (message, fields) => void log.push({ message, fields }) },
      metrics: { write: (values) => void measured.push(values) },
      ...changes,
    };
    const { storeMs = limits.storeMs } = world;
    return (deliveries: Delivery[], budgetMs = 10_000) =>
      deliver(deliveries, Date.now() + budgetMs, ports, { ...limits, storeMs });
  };
  const open = (connectionId: string, readsBatches = false) =>
    sessions.open({ connectionId, connectedAt: Date.now(), readsBatches }, soon());
  /** What the next connection gets, and takes over. */
  const resume = async ({ session, token }: Opened, connectionId: string, after = 0) => {
    const resumption = await sessions.resume(
      { connectionId, connectedAt: Date.now() },
      { session, token, after },
      soon(),
    );
    if (resumption.result !== 'resumed') throw new Error(JSON.stringify(resumption));
    await sessions.caughtUp(session, connectionId, resumption.seq, soon());
    return resumption.replies.map(({ seq, frame }) => ({ seq, ...JSON.parse(frame) }));
  };
  const books = { operations, deadLetters, log, measured, removed, taken, posts, closed };
  return { ...books, post, close, sessions, open, resume, deliver: start(), restarted: start };
}

type Opened = Awaited<ReturnType<Sessions['open']>>;

function replyTo(address: string, n: number, messageId?: string): Delivery {
  const body = { pattern: { cmd: 'recv' }, data: { n, metadata: { socket_id: address } } };
  return { ...delivery(JSON.stringify(body)), properties: messageId === undefined ? {} : { messageId } };
}

function delivery(body: string, properties: Properties = {}): Delivery {
  return { queue: 'ws_queue', body: Buffer.from(body), properties, redelivered: false };
}

/** `n` of each frame, with its `seq`, if it has one. */
function numbers(frames: unknown[] = []): unknown[] {
  return (frames as { seq?: number; data: { n: number } }[]).map(({ seq, data }) =>
    seq === undefined ? data.n : [seq, data.n],
  );
}

describe('a reply in a session', () => {
  test('is stored, and reaches the connection that holds it with its number and a messageId', async () => {
    const { open, resume, deliver, taken } = await gateway();
    const opened = await open('a');
    const verdicts = await deliver([replyTo(opened.session, 1, 'm-1'), replyTo(opened.session, 2)]);
    expect(verdicts).toEqual(['delivered', 'delivered']);
    expect(taken.get('a')).toEqual([
      { event: 'recv', seq: 1, messageId: 'm-1', data: { n: 1 } },
      { event: 'recv', seq: 2, messageId: expect.any(String), data: { n: 2 } },
    ]);
    expect(Object.keys(taken.get('a')?.[0] as object)).toEqual(['event', 'seq', 'messageId', 'data']);
    const [, { messageId }] = taken.get('a') as [unknown, { messageId: string }];
    expect(sentAtOf(messageId)).toBeDefined();
    expect(await resume(opened, 'b')).toEqual(taken.get('a'));
  });

  test('is addressed by its correlationId too, and may be an error', async () => {
    const { open, deliver, taken } = await gateway();
    const { session } = await open('a');
    const messageId = newMessageId();
    const correlationId = encodeCorrelation({ messageId, connectionId: session, clientId: '7' });
    await deliver([delivery('{"err":"no credit"}', { correlationId }), delivery('42', { correlationId })]);
    expect(taken.get('a')).toMatchObject([
      { event: 'error', seq: 1, id: '7', data: 'no credit', messageId: expect.any(String) },
      { event: 'recv', seq: 2, id: '7', data: 42 },
    ]);
  });

  test('keeps its place among all others to that connection', async () => {
    const { open, deliver, taken } = await gateway();
    const { session } = await open('a');
    await deliver([replyTo('a', 1), replyTo(session, 2), replyTo('a', 3), replyTo(session, 4), replyTo('b', 5)]);
    expect(numbers(taken.get('a'))).toEqual([1, [1, 2], 3, [2, 4]]);
    expect(numbers(taken.get('b'))).toEqual([5]);
  });

  test('is kept for the next connection where there is none', async () => {
    const { open, resume, deliver, sessions, posts, deadLetters, measured } = await gateway();
    const opened = await open('a');
    await sessions.detach(opened.session, 'a', soon());
    expect(await deliver([1, 2].map((n) => replyTo(opened.session, n)))).toEqual(['stored', 'stored']);
    expect([posts, deadLetters]).toEqual([[], []]);
    expect(measured).toMatchObject([{ RepliesStored: 2, RepliesDelivered: 0, DeadLetters: 0 }]);
    expect(numbers(await resume(opened, 'b'))).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(await deliver([replyTo(opened.session, 3)])).toEqual(['delivered']);
  });

  test('is left to whoever replays to the connection, as long as that lasts', async () => {
    const { open, deliver, sessions, posts } = await gateway();
    const { session, token } = await open('a');
    const b = { connectionId: 'b', connectedAt: Date.now() };
    await sessions.resume(b, { session, token, after: 0 }, soon());
    expect(await deliver([replyTo(session, 1)])).toEqual(['stored']);
    expect(posts).toEqual([]);
    const progress = await sessions.caughtUp(session, 'b', 0, soon());
    expect(progress).toMatchObject({ result: 'more', replies: [{ seq: 1 }] });
  });

  test('is gone where there is no such session', async () => {
    const { deliver, deadLetters, posts, measured } = await gateway();
    expect(await deliver([replyTo('session_1234567890123456789012', 1)])).toEqual(['gone']);
    expect([posts, deadLetters]).toEqual([[], []]);
    expect(measured).toMatchObject([{ RepliesGone: 1, SessionsEnded: 0 }]);
  });

  test('is too large where it would be so with its number and messageId', async () => {
    const { open, deliver, taken, deadLetters } = await gateway();
    const { session } = await open('a');
    const frame = { event: 'recv', seq: Number.MAX_SAFE_INTEGER, messageId: newMessageId(), data: { n: 1, text: '' } };
    const room = maxFrameBytes - JSON.stringify(frame).length;
    const of = (length: number) =>
      delivery(
        JSON.stringify({ pattern: 'recv', data: { n: 1, text: 'x'.repeat(length), metadata: { socket_id: session } } }),
      );
    expect(await deliver([of(room), of(room + 1)])).toEqual(['delivered', 'too_large']);
    expect(taken.get('a')).toHaveLength(1);
    expect(deadLetters).toHaveLength(1);
  });
});

describe('replies in a session whose client reads several in one frame', () => {
  test('are one post, beside those to others', async () => {
    const { open, resume, deliver, taken, posts, measured } = await gateway();
    const [several, single] = [await open('a', true), await open('b')];
    const deliveries = [1, 2, 3].flatMap((n) => [several, single].map(({ session }) => replyTo(session, n, `m-${n}`)));
    expect(await deliver(deliveries)).toEqual(deliveries.map(() => 'delivered'));
    const [batch] = taken.get('a') as [unknown[]];
    expect(batch).toEqual([1, 2, 3].map((n) => ({ event: 'recv', seq: n, messageId: `m-${n}`, data: { n } })));
    expect(taken.get('b')).toEqual(batch);
    expect(posts.filter((connectionId) => connectionId === 'a')).toHaveLength(1);
    expect(measured).toMatchObject([{ RepliesDelivered: 6, Retries: 0 }]);
    expect(await resume(several, 'c')).toEqual(batch);
  });

  test('keep their place among those to the connection itself, which go alone', async () => {
    const { open, deliver, taken } = await gateway();
    const { session } = await open('a', true);
    await deliver([replyTo('a', 1), ...[2, 3].map((n) => replyTo(session, n)), ...[4, 5].map((n) => replyTo('a', n))]);
    const [first, batch, ...rest] = taken.get('a') as unknown[];
    expect([numbers([first]), numbers(batch as unknown[]), numbers(rest)]).toEqual([
      [1],
      [
        [1, 2],
        [2, 3],
      ],
      [4, 5],
    ]);
  });

  test('are posted again together, and kept together where they are not taken', async () => {
    const { open, resume, deliver, taken, posts, deadLetters, closed, measured } = await gateway({
      answer: (connectionId, attempt) => (connectionId === 'b' ? 403 : attempt === 0 ? 503 : 200),
    });
    const [first, second] = [await open('a', true), await open('b', true)];
    const to = ({ session }: Opened) => [1, 2].map((n) => replyTo(session, n, `m-${n}`));
    expect(await deliver([...to(first), ...to(second)])).toEqual(['delivered', 'delivered', 'stored', 'stored']);
    expect(posts.sort()).toEqual(['a', 'a', 'b']);
    expect(numbers(taken.get('a')?.[0] as unknown[])).toHaveLength(2);
    expect(measured).toMatchObject([{ RepliesDelivered: 2, RepliesStored: 2, Retries: 1 }]);
    expect([deadLetters, closed]).toEqual([[], ['b']]);
    expect(numbers(await resume(second, 'c'))).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test('are gone with their connection, of which the session is told once', async () => {
    const { open, resume, deliver, removed } = await gateway({ answer: () => 410 });
    const opened = await open('a', true);
    expect(await deliver([1, 2].map((n) => replyTo(opened.session, n)))).toEqual(['stored', 'stored']);
    expect(removed).toEqual(['a']);
    expect(numbers(await resume(opened, 'b'))).toHaveLength(2);
  });
});

describe('a batch', () => {
  test('of 100 replies to one session is one append', async () => {
    const { open, deliver, operations, taken } = await gateway();
    const { session } = await open('a');
    operations.length = 0;
    await deliver(Array.from({ length: 100 }, (_, n) => replyTo(session, n)));
    expect(operations.map(({ operation }) => operation)).toEqual(['load', 'putPage', 'save']);
    expect(numbers(taken.get('a'))).toEqual(Array.from({ length: 100 }, (_, n) => [n + 1, n]));
  });

  test('for 100 sessions stores them at once, and posts to each in order', async () => {
    let underWay = 0;
    let most = 0;
    const { open, restarted } = await gateway({
      storeMs: 10_000,
      step: async ({ operation, moment }) => {
        if (operation === 'load' && moment === 'before') underWay += 1;
        most = Math.max(most, underWay);
        await new Promise((resolve) => setImmediate(resolve));
        if (operation === 'save' && moment === 'after') underWay -= 1;
      },
    });
    const opened: Opened[] = [];
    for (let n = 0; n < 100; n += 1) opened.push(await open(`c${n}`));
    underWay = 0;
    most = 0;
    const taken = new Map<string, unknown[]>();
    const deliver = restarted({
      post: async (connectionId, frame) => {
        taken.set(connectionId, [...(taken.get(connectionId) ?? []), JSON.parse(frame)]);
        return { result: 'delivered' };
      },
    });
    await deliver([0, 1, 2].flatMap((n) => opened.map(({ session }) => replyTo(session, n))));
    // One that waits takes no other's turn.
    expect(most).toBe(100);
    const all = [
      [1, 0],
      [2, 1],
      [3, 2],
    ];
    expect([...taken.values()].map(numbers)).toEqual(opened.map(() => all));
  });

  test('without replies to sessions asks the store for nothing', async () => {
    const { deliver, operations } = await gateway({ answer: (id) => (id === 'left' ? 410 : 200) });
    await deliver([replyTo('a', 1), replyTo('left', 2), delivery('rubbish')]);
    expect(operations).toEqual([]);
  });

  test('reaches every connection in order, whatever fails on the way', async () => {
    const plan = fc.array(
      fc.record({
        to: fc.constantFrom('s', 's', 't', 'a', 'b'),
        failures: fc.nat({ max: 2 }),
        storeFails: fc.boolean(),
      }),
      { minLength: 1, maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(plan, async (replies) => {
        const connectionOf = (to: string) => ({ s: 'a', t: 'c' })[to] ?? to;
        const script = new Map<string, number[]>();
        for (const { to, failures } of replies) {
          const id = connectionOf(to);
          script.set(id, [...(script.get(id) ?? []), ...Array(failures).fill(503), 200]);
        }
        let faults = 0;
        const { open, deliver, taken } = await gateway({
          storeMs: 30_000,
          answer: (id, attempt) => script.get(id)?.[attempt] ?? 200,
          step: async () => {
            if (faults-- > 0) throw new Error('throttled');
          },
        });
        const addresses: Record<string, string> = { s: (await open('a')).session, t: (await open('c')).session };
        faults = replies.filter(({ storeFails }) => storeFails).length;
        await deliver(
          replies.map(({ to }, n) => replyTo(addresses[to] ?? to, n)),
          60_000,
        );
        await api?.close();
        for (const id of ['a', 'b', 'c']) {
          let seq = 0;
          const sent = replies.flatMap(({ to }, n): unknown[] => {
            if (connectionOf(to) !== id) return [];
            seq += to in addresses ? 1 : 0;
            return to in addresses ? [[seq, n]] : [n];
          });
          expect(numbers(taken.get(id))).toEqual(sent);
        }
      }),
      { numRuns: 40 },
    );
  });
});

describe('a batch that comes back', () => {
  const replies = ({ session }: Opened) => ['m-1', 'm-2', 'm-3'].map((messageId, n) => replyTo(session, n, messageId));

  test('is posted under the same numbers where nothing of it was posted before', async () => {
    let stored = () => {};
    const isStored = new Promise<void>((resolve) => {
      stored = resolve;
    });
    const { open, restarted, taken, posts } = await gateway();
    const opened = await open('a');
    // A process that is killed between storing and posting.
    const killed = restarted({
      post: () => {
        stored();
        return new Promise(() => undefined);
      },
    });
    void killed(replies(opened));
    await isStored;
    expect(posts).toEqual([]);
    expect(await restarted()([...replies(opened), replyTo(opened.session, 3)])).toEqual(Array(4).fill('delivered'));
    expect(numbers(taken.get('a'))).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 3],
    ]);
  });

  test('is posted again as long as the client has not said that it has it, by the same process too', async () => {
    const { open, deliver, sessions, taken, measured } = await gateway();
    const opened = await open('a');
    await deliver(replies(opened));
    await sessions.received(opened.session, 'a', 2, soon());
    expect(await deliver(replies(opened))).toEqual(['delivered', 'delivered', 'delivered']);
    expect(numbers(taken.get('a'))).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
      [3, 2],
    ]);
    expect(measured[1]).toMatchObject({ RepliesDelivered: 1, Duplicates: 2, RepliesStored: 0 });
  });

  test('is known though its traces are others, and unknown where a service set no messageId', async () => {
    const { open, deliver, taken } = await gateway();
    const { session } = await open('a');
    const traced = (span: string): Delivery => ({
      ...replyTo(session, 1),
      properties: { messageId: 'm-1', headers: { traceparent: `00-0af7651916cd43dd8448eb211c80319c-${span}-01` } },
    });
    await deliver([traced('b7ad6b7169203331'), replyTo(session, 2)]);
    await deliver([traced('00f067aa0ba902b7'), replyTo(session, 2)]);
    expect(numbers(taken.get('a'))).toEqual([
      [1, 1],
      [2, 2],
      [1, 1],
      [3, 2],
    ]);
  });
});

describe('a connection that has ended', () => {
  const answer: Answer = (id, attempt) => (id === 'a' && attempt > 0 ? 410 : 200);

  test('in the midst of a batch leaves the rest to the next one', async () => {
    const { open, resume, deliver, sessions, taken, removed, closed, deadLetters, log } = await gateway({ answer });
    const opened = await open('a');
    const batch = [1, 2, 3].map((n) => replyTo(opened.session, n));
    expect(await deliver([...batch, replyTo('a', 4)])).toEqual(['delivered', 'stored', 'stored', 'gone']);
    expect([removed, closed, deadLetters, log]).toEqual([['a'], [], [], []]);
    expect(await sessions.append(opened.session, [{ frame: '{}' }], soon())).not.toHaveProperty('postTo');
    expect(numbers(taken.get('a'))).toEqual([[1, 1]]);
    expect((await resume(opened, 'b', 1)).map(({ seq }) => seq)).toEqual([2, 3, 4]);
  });

  test('does not disturb the one that has taken its session over', async () => {
    const { open, resume, restarted, sessions, post } = await gateway({ answer: (id) => (id === 'a' ? 410 : 200) });
    const opened = await open('a');
    const deliver = restarted({
      post: async (...args) => {
        await resume(opened, 'b');
        return post(...args);
      },
    });
    expect(await deliver([replyTo(opened.session, 1)])).toEqual(['stored']);
    expect(await sessions.append(opened.session, [{ frame: '{}' }], soon())).toMatchObject({ postTo: 'b' });
  });

  test('is taken out of the session that its row tells of', async () => {
    const world: World = { answer: () => 410 };
    const { open, deliver, sessions } = await gateway(world);
    const { session } = await open('a');
    world.rowOf = session;
    expect(await deliver([replyTo('a', 1)])).toEqual(['gone']);
    expect(await sessions.append(session, [{ frame: '{}' }], soon())).not.toHaveProperty('postTo');
  });
});

describe('a connection that does not take a reply of its session', () => {
  test.each([
    // The last attempt may be cut by the end of the time.
    [429, /429|no answer in time/],
    ['hang', /no answer in time/],
    [413, /413/],
    [403, /./],
    [400, /400/],
  ] as const)('by %s is closed, without a word, and the reply kept', async (outcome, reason) => {
    const { open, resume, deliver, sessions, posts, closed, removed, deadLetters, log, measured } = await gateway({
      answer: (id) => (id === 'bad' ? outcome : 200),
    });
    const opened = await open('bad');
    const other = await open('other');
    const batch = [opened, other, opened].map(({ session }, n) => replyTo(session, n));
    expect(await deliver(batch)).toEqual(['stored', 'delivered', 'stored']);
    const attempts = posts.filter((id) => id === 'bad').length;
    if (outcome === 429 || outcome === 'hang') expect(attempts).toBeGreaterThan(1);
    else expect(attempts).toBe(1);
    expect(closed).toEqual(['bad']);
    expect([removed, deadLetters]).toEqual([[], []]);
    expect(measured).toMatchObject([{ RepliesStored: 2, RepliesDelivered: 1, DeadLetters: 0 }]);
    expect(log).toEqual([
      {
        message: 'Closing a connection that missed a reply of its session',
        fields: { session: opened.session, connectionId: 'bad', reason: expect.stringMatching(reason) },
      },
    ]);
    expect(await sessions.append(opened.session, [{ frame: '{}' }], soon())).not.toHaveProperty('postTo');
    expect((await resume(opened, 'b')).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  test('takes what is behind it for others to the dead letters, as ever', async () => {
    const { open, deliver, deadLetters } = await gateway({ answer: () => 429 });
    const { session } = await open('a');
    expect(await deliver([replyTo(session, 1), replyTo('a', 2)])).toEqual(['stored', 'throttled']);
    expect(deadLetters).toHaveLength(1);
  });

  test('and cannot be closed keeps its session, so that the client sees by the next reply that one is missing', async () => {
    let status = 503;
    const { open, deliver, taken, log } = await gateway({ answer: () => status, answerToClose: () => status });
    const { session } = await open('a');
    expect(await deliver([replyTo(session, 1)])).toEqual(['stored']);
    expect(log[1]).toEqual({ message: 'Failed to close a connection', fields: { session, connectionId: 'a' } });
    status = 200;
    await deliver([replyTo(session, 2)]);
    expect(numbers(taken.get('a'))).toEqual([[2, 2]]);
  });

  test('because whoever replayed to it has died, is closed, and so is the one before, which nobody may have told', async () => {
    let now = Date.now();
    const { open, deliver, sessions, posts, closed } = await gateway({ clock: () => now });
    const { session, token } = await open('a');
    const holder = { connectionId: 'b', connectedAt: Date.now() };
    await sessions.resume(holder, { session, token, after: 0 }, now + 1000);
    now += 1001;
    expect(await deliver([replyTo(session, 1)])).toEqual(['stored']);
    expect([posts, closed]).toEqual([[], ['a', 'b']]);
  });
});

describe('a session that is past its bounds', () => {
  const tooMany = ({ session }: Opened) =>
    Array.from({ length: sessionLimits.maxReplies + 1 }, (_, n) => replyTo(session, n));

  test('ends: its client is told, its connection closed, and others get theirs', async () => {
    const { open, deliver, taken, closed, deadLetters, log, measured } = await gateway();
    const opened = await open('a');
    const other = await open('b');
    const verdicts = await deliver([...tooMany(opened), replyTo(other.session, 1)]);
    expect(new Set(verdicts.slice(0, -1))).toEqual(new Set(['gone']));
    expect(verdicts.at(-1)).toBe('delivered');
    const { session } = opened;
    expect(taken.get('a')).toEqual([{ event: 'session', session, ended: 'too_many_replies' }]);
    expect([closed, deadLetters]).toEqual([['a'], []]);
    expect(measured).toMatchObject([{ SessionsEnded: 1, RepliesGone: sessionLimits.maxReplies + 1 }]);
    expect(log).toEqual([
      { message: 'A session has ended', fields: { session, connectionId: 'a', reason: 'too_many_replies' } },
    ]);

    expect(await deliver([replyTo(session, 1)])).toEqual(['gone']);
    expect([closed, measured[1]]).toEqual([['a'], expect.objectContaining({ SessionsEnded: 0 })]);
  });

  test('ends without a word where nobody is there', async () => {
    const { open, deliver, sessions, posts, closed, measured } = await gateway();
    const opened = await open('a');
    await sessions.detach(opened.session, 'a', soon());
    await deliver(tooMany(opened));
    expect([posts, closed]).toEqual([[], []]);
    expect(measured).toMatchObject([{ SessionsEnded: 1 }]);
  });

  test('tells it again with the next reply where its connection could not be closed', async () => {
    let status = 503;
    const { open, deliver, closed, taken } = await gateway({ answerToClose: () => status });
    const opened = await open('a');
    await deliver(tooMany(opened));
    const tries = closed.length;
    status = 204;
    expect(await deliver([replyTo(opened.session, 1)])).toEqual(['gone']);
    expect(closed.length).toBe(tries + 1);
    expect(taken.get('a')).toHaveLength(2);
  });
});

describe('a store that fails', () => {
  test('for a while costs its sessions time, and the others none', async () => {
    let isBack = false;
    const { open, deliver, taken, posts } = await gateway({
      answer: (id) => {
        if (id === 'plain') isBack = true;
        return 200;
      },
      step: async ({ session }) => {
        if (session === slow && !isBack) throw new Error('throttled');
      },
    });
    let slow = '';
    const opened = await open('a');
    const other = await open('b');
    slow = opened.session;
    const batch = [replyTo(slow, 1), replyTo('plain', 2), replyTo(other.session, 3), replyTo(slow, 4)];
    expect(await deliver(batch)).toEqual(Array(4).fill('delivered'));
    expect(posts.slice(0, 2).sort()).toEqual(['b', 'plain']);
    expect(numbers(taken.get('a'))).toEqual([
      [1, 1],
      [2, 4],
    ]);
  });

  test('for one session keeps no other waiting, be that late itself', async () => {
    const posts = new EventEmitter();
    const waitsFor = new Map<string, Promise<unknown>>();
    const { open, deliver } = await gateway({
      answer: (id) => {
        posts.emit(id);
        return 200;
      },
      step: async ({ session }) => void (await waitsFor.get(session)),
    });
    const late = await open('late');
    const last = await open('last');
    waitsFor.set(late.session, once(posts, 'plain')).set(last.session, once(posts, 'late'));
    const batch = [last.session, late.session, 'plain'].map((address, n) => replyTo(address, n));
    expect(await deliver(batch)).toEqual(['delivered', 'delivered', 'delivered']);
  });

  test('to the end brings the batch back, with all others delivered and no dead letter laid down twice', async () => {
    let fails = '';
    const world: World = {
      step: async ({ session }) => {
        if (session === fails) throw new Error('no such table');
      },
    };
    const { open, deliver, taken, deadLetters, measured } = await gateway(world);
    const opened = await open('a');
    const other = await open('b');
    fails = opened.session;
    const batch = [
      replyTo(opened.session, 1, 'm-1'),
      replyTo(other.session, 2, 'm-2'),
      replyTo('plain', 3, 'm-3'),
      delivery('rubbish'),
      replyTo(opened.session, 4, 'm-4'),
    ];
    await expect(deliver(batch, 1500)).rejects.toMatchObject({
      message: 'Could not store the replies to 1 sessions; the batch comes back.',
      cause: { cause: { message: 'no such table' } },
    });
    expect([taken.get('a'), numbers(taken.get('b')), numbers(taken.get('plain'))]).toEqual([undefined, [[1, 2]], [3]]);
    expect(deadLetters).toEqual([]);
    expect(measured).toMatchObject([{ RepliesDelivered: 2, RepliesMalformed: 0, DeadLetters: 0 }]);

    fails = '';
    expect(await deliver(batch)).toEqual(['delivered', 'delivered', 'delivered', 'malformed', 'delivered']);
    expect(numbers(taken.get('a'))).toEqual([
      [1, 1],
      [2, 4],
    ]);
    expect(numbers(taken.get('b'))).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(numbers(taken.get('plain'))).toEqual([3]);
    expect(deadLetters).toEqual([{ verdict: 'malformed', body: 'rubbish' }]);
  });

  test('to the end leaves time to post what was stored', async () => {
    let fails = '';
    const { open, deliver, taken } = await gateway({
      step: ({ session }) => (session === fails ? new Promise(() => undefined) : Promise.resolve()),
    });
    fails = (await open('a')).session;
    const others = await Promise.all(Array.from({ length: 60 }, (_, n) => open(`c${n}`)));
    const startedAt = Date.now();
    const batch = [fails, ...others.map(({ session }) => session)].map((session, n) => replyTo(session, n));
    await expect(deliver(batch, 3000)).rejects.toThrow('Could not store the replies to 1 sessions');
    expect(Date.now() - startedAt).toBeLessThan(3000);
    expect(taken.size).toBe(60);
  });
});
