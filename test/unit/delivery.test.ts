import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Delivery } from '../../lib/amqp';
import type { Connections } from '../../lib/connections';
import { type DeliveryLimits, defaultLimits, deliver } from '../../lib/delivery';
import { apiGatewayPost } from '../../lib/post';
import { type Answer, type ManagementApi, startManagementApi } from '../helpers/management-api';
import { silentLog } from '../helpers/silent-log';

const limits: DeliveryLimits = {
  ...defaultLimits,
  attemptMs: 300,
  pauseMs: 5,
  longestPauseMs: 20,
  deadLetterMs: 100,
};

let api: ManagementApi | undefined;

beforeAll(() => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
});

afterEach(async () => {
  await api?.close();
  api = undefined;
});

interface DeadLetter {
  body: string;
  verdict: string;
  reason: string;
}

/** Delivers by the real SDK to a local HTTP server; the table and the dead letters are kept in memory. */
async function deliverTo(
  answer: Answer,
  deliveries: Delivery[],
  options: {
    budgetMs?: number;
    latencyMs?: number;
    deadLettersFail?: boolean;
    tableFails?: boolean;
    tableHangs?: boolean;
  } = {},
) {
  api = await startManagementApi(answer, options.latencyMs);
  const deadLetters: DeadLetter[] = [];
  const removed: string[] = [];
  const connections: Connections = {
    open: async () => undefined,
    find: async () => undefined,
    remove: async (connectionId) => {
      if (options.tableHangs) return new Promise(() => undefined);
      if (options.tableFails) throw new Error('table unreachable');
      removed.push(connectionId);
      return 'removed';
    },
  };
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const verdicts = await deliver(
    deliveries,
    Date.now() + (options.budgetMs ?? 5000),
    {
      post: apiGatewayPost(api.url, { region: 'us-east-1', credentials }),
      connections,
      deadLetters: {
        async add({ body }, verdict, reason) {
          if (options.deadLettersFail) throw new Error('broker unreachable');
          deadLetters.push({ body: String(body), verdict, reason });
        },
      },
      log: silentLog,
    },
    limits,
  );
  return { verdicts, deadLetters, removed, taken: api.taken, posts: api.posts, api };
}

function replyTo(connectionId: string, data: Record<string, unknown> = {}): Delivery {
  const body = { pattern: { cmd: 'recv' }, data: { ...data, metadata: { socket_id: connectionId } } };
  return delivery(JSON.stringify(body));
}

function delivery(body: string): Delivery {
  return { queue: 'ws_queue', body: Buffer.from(body), properties: {}, redelivered: false };
}

describe('a reply', () => {
  test('is delivered as a frame', async () => {
    const { verdicts, taken, deadLetters } = await deliverTo(() => 200, [replyTo('a', { n: 1 })]);
    expect(verdicts).toEqual(['delivered']);
    expect(taken.get('a')).toEqual([{ event: 'recv', data: { n: 1 } }]);
    expect(deadLetters).toEqual([]);
  });

  test('for a client that has left is counted, its row removed, and nothing dead-lettered', async () => {
    const { verdicts, removed, deadLetters, posts } = await deliverTo(() => 410, [replyTo('a'), replyTo('a')]);
    expect(verdicts).toEqual(['gone', 'gone']);
    expect(removed).toEqual(['a']);
    expect(deadLetters).toEqual([]);
    expect(posts).toHaveLength(1);
  });

  test('is gone in time even where the table never answers', async () => {
    const startedAt = Date.now();
    const { verdicts } = await deliverTo(() => 410, [replyTo('a')], { tableHangs: true, budgetMs: 5000 });
    expect(verdicts).toEqual(['gone']);
    expect(Date.now() - startedAt).toBeLessThan(5000);
  });

  test('is gone even where its row cannot be removed', async () => {
    const { verdicts } = await deliverTo(() => 410, [replyTo('a')], { tableFails: true });
    expect(verdicts).toEqual(['gone']);
  });

  test.each([
    ['throttled', [429, 429]],
    ['failed', [500, 503]],
    ['without an answer in time', ['hang']],
    ['cut off', ['reset']],
  ] as const)('that was %s at first is tried again', async (_, answers) => {
    const { verdicts, posts } = await deliverTo((_id, attempt) => answers[attempt] ?? 200, [replyTo('a')]);
    expect(verdicts).toEqual(['delivered']);
    expect(posts).toHaveLength(answers.length + 1);
  });

  test('that is throttled to the end is dead-lettered, and so is what waits behind it', async () => {
    const { verdicts, deadLetters } = await deliverTo(
      (id) => (id === 'slow' ? 429 : 200),
      [replyTo('slow', { n: 1 }), replyTo('slow', { n: 2 }), replyTo('other')],
      { budgetMs: 1500 },
    );
    expect(verdicts).toEqual(['throttled', 'throttled', 'delivered']);
    expect(deadLetters.map(({ verdict }) => verdict)).toEqual(['throttled', 'throttled']);
  });

  test.each([
    [413, 'too_large'],
    [403, 'forbidden'],
    [400, 'malformed'],
  ] as const)('that is answered %i is dead-lettered as %s without another try', async (status, verdict) => {
    const { verdicts, deadLetters, posts } = await deliverTo(() => status, [replyTo('a')]);
    expect(verdicts).toEqual([verdict]);
    expect(deadLetters).toEqual([{ body: expect.any(String), verdict, reason: expect.stringMatching(/./) }]);
    expect(posts).toHaveLength(1);
  });

  test('above 128 KB is not even posted', async () => {
    const { verdicts, posts } = await deliverTo(() => 200, [replyTo('a', { text: 'x'.repeat(128 * 1024) })]);
    expect(verdicts).toEqual(['too_large']);
    expect(posts).toEqual([]);
  });

  test('that is nested too deeply to be written is dead-lettered, and does not bring the batch back', async () => {
    const deep = `{"pattern":"recv","data":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)},"metadata":{"socket_id":"a"}}}`;
    const { verdicts, deadLetters } = await deliverTo(() => 200, [delivery(deep), replyTo('a')]);
    expect(verdicts).toEqual(['malformed', 'delivered']);
    expect(deadLetters).toHaveLength(1);
  });

  test('that is poison is dead-lettered, and the 99 good ones arrive in order', async () => {
    const good = Array.from({ length: 99 }, (_, n) => replyTo('a', { n }));
    const { verdicts, taken, deadLetters } = await deliverTo(
      () => 200,
      [...good.slice(0, 50), delivery('{"poison"'), ...good.slice(50)],
    );
    expect(verdicts.filter((verdict) => verdict === 'delivered')).toHaveLength(99);
    expect(taken.get('a')).toEqual(Array.from({ length: 99 }, (_, n) => ({ event: 'recv', data: { n } })));
    expect(deadLetters).toEqual([{ body: '{"poison"', verdict: 'malformed', reason: expect.any(String) }]);
  });
});

describe('a service’s error', () => {
  test('reaches the client as an error frame with what the service said', async () => {
    const correlationId = 'gw1:m-1:a:7';
    const body = JSON.stringify({ err: { message: 'no credit', left: 0 }, status: 'error' });
    const { taken } = await deliverTo(
      () => 200,
      [{ ...delivery(body), properties: { correlationId, messageId: 'r' } }],
    );
    expect(taken.get('a')).toEqual([
      {
        event: 'error',
        id: '7',
        messageId: 'r',
        code: 'internal',
        message: 'no credit',
        retryable: false,
        data: { message: 'no credit', left: 0 },
      },
    ]);
  });
});

describe('a batch', () => {
  test('rejects when a dead letter cannot be laid down, so that it comes back', async () => {
    await expect(deliverTo(() => 200, [delivery('?')], { deadLettersFail: true })).rejects.toThrow(
      'broker unreachable',
    );
  });

  test('posts one at a time to a connection, and to many connections at once', async () => {
    const deliveries = Array.from({ length: 40 }, (_, n) => replyTo(`c${n % 8}`));
    const { api } = await deliverTo(() => 200, deliveries, { latencyMs: 50 });
    expect(api.mostAtOnce('c0')).toBe(1);
    expect(api.mostAtOnce()).toBeGreaterThan(1);
  });

  test('keeps the order within each connection, whatever fails on the way', async () => {
    const plan = fc.array(fc.record({ to: fc.constantFrom('a', 'b', 'c'), failures: fc.nat({ max: 2 }) }), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(plan, async (replies) => {
        const script = new Map<string, number[]>();
        for (const { to, failures } of replies) {
          script.set(to, [...(script.get(to) ?? []), ...Array(failures).fill(503), 200]);
        }
        const { taken, api } = await deliverTo(
          (id, attempt) => script.get(id)?.[attempt] ?? 200,
          replies.map(({ to }, n) => replyTo(to, { n })),
        );
        await api.close();
        for (const [to, frames] of taken) {
          const sent = replies.flatMap((reply, n) => (reply.to === to ? [{ event: 'recv', data: { n } }] : []));
          expect(frames).toEqual(sent);
        }
        expect([...taken.values()].flat()).toHaveLength(replies.length);
      }),
      { numRuns: 25 },
    );
  });
});
