import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Delivery, Properties } from '../../lib/amqp';
import { encodeCorrelation } from '../../lib/correlation';
import { type DeliveryLimits, type DeliveryPorts, defaultLimits, deliver } from '../../lib/delivery';
import type { LogFields } from '../../lib/log';
import { type Measurements, noMetrics } from '../../lib/metrics';
import { apiGatewayPost } from '../../lib/post';
import { recentDeliveries } from '../../lib/recent';
import { type Answer, type ManagementApi, startManagementApi } from '../helpers/management-api';
import { silentLog } from '../helpers/silent-log';

const defaults: DeliveryLimits = {
  ...defaultLimits,
  attemptMs: 300,
  pauseMs: 5,
  longestPauseMs: 20,
  deadLetterMs: 100,
};

let api: ManagementApi | undefined;

beforeAll(async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  // The SDK's first post loads half of it.
  await deliverTo(() => 200, [replyTo('a')], { limits: { attemptMs: 10_000 } });
  await api?.close();
});

afterEach(async () => {
  await api?.close();
  api = undefined;
});

interface Letter {
  body: string;
  verdict: string;
  reason: string;
  attempts: number;
}

/** Delivers by the real SDK to a local HTTP server; the table and the dead letters are kept in memory. */
async function deliverTo(
  answer: Answer,
  deliveries: Delivery[],
  options: {
    budgetMs?: number;
    latencyMs?: number;
    limits?: Partial<DeliveryLimits>;
    /** The bodies of replies whose dead letter cannot be laid down. */
    deadLettersFail?: (body: string) => boolean;
    tableFails?: boolean;
    tableHangs?: boolean;
  } = {},
) {
  api = await startManagementApi(answer, options.latencyMs);
  const deadLetters: Letter[] = [];
  const log: { message: string; fields: LogFields | undefined }[] = [];
  const measured: Measurements[] = [];
  const removed: string[] = [];
  const connections: DeliveryPorts['connections'] = {
    remove: async (connectionId) => {
      if (options.tableHangs) return new Promise(() => undefined);
      if (options.tableFails) throw new Error('table unreachable');
      removed.push(connectionId);
      return { result: 'removed' };
    },
  };
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const verdicts = await deliver(
    deliveries,
    Date.now() + (options.budgetMs ?? 5000),
    {
      ...noPorts,
      post: apiGatewayPost(api.url, { region: 'us-east-1', credentials }),
      connections,
      deadLetters: {
        async add({ delivery, verdict, reason, attempts }) {
          const body = String(delivery.body);
          if (options.deadLettersFail?.(body)) throw new Error('broker unreachable');
          deadLetters.push({ body, verdict, reason, attempts });
        },
      },
      recent: recentDeliveries(),
      log: {
        ...silentLog,
        info: (message, fields) => void log.push({ message, fields }),
        warn: (message, fields) => void log.push({ message, fields }),
      },
      metrics: { write: (values) => void measured.push(values) },
    },
    { ...defaults, ...options.limits },
  );
  return { verdicts, deadLetters, removed, log, measured, taken: api.taken, posts: api.posts, api };
}

function replyTo(connectionId: string, data: Record<string, unknown> = {}, messageId?: string): Delivery {
  const body = { pattern: { cmd: 'recv' }, data: { ...data, metadata: { socket_id: connectionId } } };
  return { ...delivery(JSON.stringify(body)), properties: messageId === undefined ? {} : { messageId } };
}

/** What is not for sessions asks nothing of them. */
const notAsked = async () => {
  throw new Error('it was asked of a session');
};

const noPorts = {
  connections: { remove: async () => ({ result: 'kept' as const }) },
  sessions: { append: notAsked, detach: notAsked },
  close: notAsked,
  deadLetters: { add: async () => undefined },
  log: silentLog,
  metrics: noMetrics,
};

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

  test('takes the service’s traceparent to the client, in an error frame too, and none of the gateway’s making', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const correlationId = encodeCorrelation({
      messageId: '018bcfe5-6800-7c7d-9a53-2f8f6f1f3c11',
      connectionId: 'a',
      clientId: null,
    });
    const of = (body: string, headers = {}): Delivery => ({
      ...delivery(body),
      properties: { correlationId, headers },
    });
    const replies = [
      of('1', { traceparent }),
      of('{"err":"no credit"}', { traceparent }),
      of('2'),
      of('3', { traceparent: 'x' }),
    ];
    const { taken } = await deliverTo(() => 200, replies);
    expect(taken.get('a')).toMatchObject([
      { event: 'recv', traceparent, data: 1 },
      { event: 'error', traceparent, data: 'no credit' },
      { event: 'recv', data: 2 },
      { event: 'recv', data: 3 },
    ]);
    expect(
      taken
        .get('a')
        ?.slice(2)
        .some((frame) => 'traceparent' in (frame as object)),
    ).toBe(false);
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
    const { verdicts } = await deliverTo(() => 410, [replyTo('a')], { tableHangs: true, budgetMs: 60_000 });
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
    expect(deadLetters).toEqual([
      { body: expect.any(String), verdict, reason: expect.stringMatching(/./), attempts: 1 },
    ]);
    expect(posts).toHaveLength(1);
  });

  test('is posted within whatever time is left', async () => {
    // A third of it, which is kept for dead letters, is no whole number of milliseconds.
    const { verdicts } = await deliverTo(() => 200, [replyTo('a')], {
      budgetMs: 2000,
      limits: { attemptMs: 10_000, deadLetterMs: 10_000 },
    });
    expect(verdicts).toEqual(['delivered']);
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
    expect(deadLetters).toEqual([{ body: '{"poison"', verdict: 'malformed', reason: expect.any(String), attempts: 0 }]);
  });
});

describe('a reply that no service should send', () => {
  test.each([
    ['is not JSON', delivery('{"poison"')],
    ['is not UTF-8', { ...delivery(''), body: Buffer.from([0xc3, 0x28]) }],
    ['names no connection', delivery('{"pattern":"recv","data":{}}')],
    ['names something that is no connection', replyTo('../other/path')],
    ['has metadata that is no object', delivery('{"pattern":"recv","data":{"metadata":"a"}}')],
    ['has a pattern of no name', delivery('{"pattern":{"constructor":"recv"},"data":{"metadata":{"socket_id":"a"}}}')],
    [
      'claims its metadata by a prototype',
      delivery('{"pattern":"recv","data":{"__proto__":{"metadata":{"socket_id":"a"}}}}'),
    ],
  ])('because it %s is malformed', async (_, reply) => {
    const { verdicts, posts } = await deliverTo(() => 200, [reply, replyTo('a')]);
    expect(verdicts).toEqual(['malformed', 'delivered']);
    expect(posts).toEqual(['a']);
  });

  test('because it has 1 MB is too large', async () => {
    const { verdicts } = await deliverTo(() => 200, [replyTo('a', { text: 'x'.repeat(2 ** 20) })]);
    expect(verdicts).toEqual(['too_large']);
  });

  test('with keys of the prototype reaches the client as it is, and changes nothing here', async () => {
    const data = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}';
    const reply = delivery(
      `{"pattern":"recv","data":${data},"metadata":{"socket_id":"a","__proto__":{"client_id":"1"}}}}`,
    );
    const { verdicts, taken } = await deliverTo(() => 200, [reply]);
    expect(verdicts).toEqual(['delivered']);
    expect(JSON.stringify(taken.get('a'))).toBe(`[{"event":"recv","data":${data}}}]`);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

describe('a copy of a reply', () => {
  test('is delivered, and not posted again, to the connection that has it', async () => {
    const { verdicts, taken } = await deliverTo(
      () => 200,
      [
        replyTo('a', { n: 1 }, 'm-1'),
        replyTo('b', { n: 1 }, 'm-1'),
        replyTo('a', { n: 1 }, 'm-1'),
        replyTo('a', { n: 2 }),
      ],
    );
    expect(verdicts).toEqual(['delivered', 'delivered', 'delivered', 'delivered']);
    expect(taken.get('a')).toEqual([
      { event: 'recv', messageId: 'm-1', data: { n: 1 } },
      { event: 'recv', data: { n: 2 } },
    ]);
    expect(taken.get('b')).toHaveLength(1);
  });

  test('is posted where the first was not delivered', async () => {
    const { verdicts, posts } = await deliverTo(
      (_id, attempt) => (attempt === 0 ? 413 : 200),
      [replyTo('a', {}, 'm-1'), replyTo('a', {}, 'm-1')],
    );
    expect(verdicts).toEqual(['too_large', 'delivered']);
    expect(posts).toHaveLength(2);
  });

  test('has its content too: another reply under its messageId is posted', async () => {
    const { posts } = await deliverTo(() => 200, [replyTo('a', { part: 1 }, 'm-1'), replyTo('a', { part: 2 }, 'm-1')]);
    expect(posts).toHaveLength(2);
  });

  test('cannot be told without a messageId', async () => {
    const { posts } = await deliverTo(() => 200, [replyTo('a'), replyTo('a')]);
    expect(posts).toHaveLength(2);
  });

  test('is told in a later batch too', async () => {
    const posts: string[] = [];
    const post = async (connectionId: string) => {
      posts.push(connectionId);
      return { result: 'delivered' as const };
    };
    const ports = { ...noPorts, post, recent: recentDeliveries() };
    for (const messageId of ['m-1', 'm-1', 'm-2']) {
      await deliver([replyTo('a', {}, messageId)], Date.now() + 5000, ports, defaults);
    }
    expect(posts).toHaveLength(2);
  });
});

describe('a client that takes nothing', () => {
  test('has one attempt for each batch once it was given up, until it takes a reply', async () => {
    let takes = false;
    const posts: string[] = [];
    const post = async (connectionId: string) => {
      posts.push(connectionId);
      const taken = takes || connectionId !== 'stuck';
      return taken ? { result: 'delivered' as const } : { result: 'throttled' as const, reason: '429' };
    };
    const ports = { ...noPorts, post, recent: recentDeliveries() };
    const attempts = async () => {
      posts.length = 0;
      await deliver([replyTo('stuck'), replyTo('other')], Date.now() + 60_000, ports, defaults);
      return posts.filter((connectionId) => connectionId === 'stuck').length;
    };
    expect(await attempts()).toBeGreaterThan(1);
    expect(await attempts()).toBe(1);
    takes = true;
    expect(await attempts()).toBe(1);
    takes = false;
    expect(await attempts()).toBeGreaterThan(1);
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
  test('rejects when one dead letter cannot be laid down, after it has tried all, and comes back as a whole', async () => {
    const tried: string[] = [];
    const deadLettersFail = (body: string) => tried.push(body) > 0 && body === '2';
    const batch = deliverTo(() => 200, [...['1', '2', '3'].map(delivery), replyTo('a')], { deadLettersFail });
    await expect(batch).rejects.toMatchObject({
      message: 'Could not lay down 1 dead letters; the batch comes back.',
      cause: { message: 'broker unreachable' },
    });
    expect(tried).toEqual(['1', '2', '3']);
  });

  test('says in its log how many replies were delivered, gone, dead-lettered and copies', async () => {
    const replies = [
      replyTo('a', {}, 'm-1'),
      replyTo('a', {}, 'm-1'),
      replyTo('left'),
      replyTo('left'),
      { ...delivery('secret'), properties: { messageId: 'm-2' } },
    ];
    const { log } = await deliverTo((id) => (id === 'left' ? 410 : 200), replies);
    expect(log).toEqual([
      {
        message: 'Dead-lettered a reply',
        fields: { verdict: 'malformed', reason: expect.any(String), messageId: 'm-2' },
      },
      {
        message: 'Handled a batch of replies',
        fields: { count: 5, verdicts: { delivered: 2, gone: 2, malformed: 1 }, duplicates: 1 },
      },
    ]);
    expect(JSON.stringify(log)).not.toContain('secret');
  });

  test('tells in its log of which message and trace each reply is, whatever the service passed on', async () => {
    const inReplyTo = '018bcfe5-6800-7c7d-9a53-2f8f6f1f3c11';
    const correlationId = encodeCorrelation({ messageId: inReplyTo, connectionId: 'left', clientId: null });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const begun = '00-018bcfe568007c7d9a532f8f6f1f3c11-9a532f8f6f1f3c11-01';
    const of = (body: string, properties: Properties): Delivery => ({ ...delivery(body), properties });
    const { log } = await deliverTo(
      () => 410,
      [
        of('{"pattern":"ack","data":1}', { correlationId, headers: { traceparent }, messageId: 'r-1' }),
        of('{"pattern":"ack","data":1}', { correlationId }),
        of('{}', { correlationId }),
      ],
      { tableFails: true },
    );
    expect(log.slice(0, -1).map(({ fields }) => fields)).toEqual([
      { connectionId: 'left', inReplyTo, traceparent: begun, error: expect.any(Error) },
      { verdict: 'malformed', reason: expect.any(String), messageId: 'r-1', inReplyTo, traceparent },
      { verdict: 'malformed', reason: expect.any(String), inReplyTo, traceparent: begun },
    ]);
  });

  test('is measured in one go', async () => {
    const { measured } = await deliverTo(() => 200, [replyTo('a'), delivery('rubbish')]);
    expect(measured).toEqual([expect.objectContaining({ RepliesDelivered: 1, RepliesMalformed: 1, DeadLetters: 1 })]);
  });

  test('of tens of thousands of replies to one connection keeps their order, and does no work that grows with the square', async () => {
    const timeOf = async (count: number) => {
      const deliveries = Array.from({ length: count }, (_, n) => replyTo('a', { n }, `m-${n}`));
      const posted: number[] = [];
      const post = async (_: string, frame: string) => {
        posted.push(JSON.parse(frame).data.n);
        return { result: 'delivered' as const };
      };
      const startedAt = performance.now();
      await deliver(deliveries, Date.now() + 60_000, { ...noPorts, post, recent: recentDeliveries(1000) });
      const took = performance.now() - startedAt;
      expect(posted).toEqual(deliveries.map((_, n) => n));
      return took;
    };
    await timeOf(1000);
    const [few, many] = [await timeOf(2000), await timeOf(40_000)];
    // Twenty times as many; the square would be four hundred times as long.
    expect(many / few).toBeLessThan(100);
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

describe('a connection that is slow', () => {
  /** Far more than a batch may take that has nothing left to do. */
  const budgetMs = 60_000;
  const limits = { attemptMs: 500 };

  test.each([
    ['hangs', 'hang', /no answer in time$/, 3],
    // The last attempt may be cut by the end of the time.
    ['is throttled', 429, /API Gateway answered 429$|no answer in time$/, 400],
  ] as const)(
    'because it %s costs the others nothing, and the batch no more than a moment',
    async (_, bad, why, mostPosts) => {
      const others = Array.from({ length: 60 }, (_, n) => replyTo(`c${n % 20}`, { n }));
      const { verdicts, taken, posts, deadLetters } = await deliverTo(
        (id) => (id === 'bad' ? bad : 200),
        [replyTo('bad', { n: 1 }), ...others, replyTo('bad', { n: 2 })],
        { budgetMs, limits: { attemptMs: 1000 } },
      );
      expect(verdicts).toEqual(['throttled', ...others.map(() => 'delivered'), 'throttled']);
      expect([...taken.values()].flatMap((frames) => withoutCopies(frames))).toHaveLength(others.length);
      const toBad = posts.filter((id) => id === 'bad').length;
      expect(toBad).toBeGreaterThanOrEqual(2);
      const afterTheOthers = posts.slice(posts.findLastIndex((id) => id !== 'bad') + 1);
      expect(afterTheOthers.length).toBeLessThanOrEqual(mostPosts);
      expect(deadLetters.map(({ reason, attempts }) => ({ reason, attempts }))).toEqual([
        { reason: expect.stringMatching(why), attempts: toBad },
        { reason: 'waited behind one that was not taken', attempts: 0 },
      ]);
    },
  );

  test('is not given up while others make progress', async () => {
    const others = Array.from({ length: 40 }, (_, n) => replyTo('other', { n }));
    let taken = 0;
    const { verdicts } = await deliverTo(
      (id) => {
        if (id === 'other') taken += 1;
        // By then three times the time has passed after which a batch without progress ends.
        return id === 'bad' && taken < 30 ? 429 : 200;
      },
      [replyTo('bad'), ...others],
      { budgetMs, limits: { attemptMs: 300 }, latencyMs: 60 },
    );
    expect(new Set(verdicts)).toEqual(new Set(['delivered']));
  });

  test('has its turn before any other is tried again, even after the time without progress', async () => {
    const hanging = Array.from({ length: 10 }, (_, n) => `hangs${n}`);
    const { verdicts, posts } = await deliverTo(
      (id) => (id.startsWith('hangs') ? 'hang' : 200),
      ['first', ...hanging, 'last'].map((id) => replyTo(id)),
      { budgetMs, limits: { attemptMs: 300, concurrency: 2 } },
    );
    expect(verdicts).toEqual(['delivered', ...hanging.map(() => 'throttled'), 'delivered']);
    expect(new Set(posts.slice(0, 12)).size).toBe(12);
  });

  test('never delays the others, and never loses their order, whoever it is', async () => {
    const batch = fc.record({
      replies: fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'bad'), { minLength: 1, maxLength: 30 }),
      bad: fc.constantFrom('hang' as const, 'reset' as const, 429, 503, 504, { status: 503, midway: 'hang' as const }),
    });
    await fc.assert(
      fc.asyncProperty(batch, async ({ replies, bad }) => {
        const { verdicts, taken, api } = await deliverTo(
          (id) => (id === 'bad' ? bad : 200),
          replies.map((to, n) => replyTo(to, { n })),
          { budgetMs, limits },
        );
        await api.close();
        expect(verdicts).toEqual(replies.map((to) => (to === 'bad' ? 'throttled' : 'delivered')));
        for (const to of ['a', 'b', 'c', 'd']) {
          const sent = replies.flatMap((id, n) => (id === to ? [{ event: 'recv', data: { n } }] : []));
          expect(withoutCopies(taken.get(to))).toEqual(sent);
        }
      }),
      { numRuns: 5 },
    );
  });
});

/** As a client drops them: a post that timed out may have been taken, and be taken late. */
function withoutCopies(frames: unknown[] = []): unknown[] {
  return [...new Set(frames.map((frame) => JSON.stringify(frame)))].map((text) => JSON.parse(text));
}

describe('an outage of API Gateway', () => {
  const limits = { attemptMs: 150 };
  /** Over three times the time after which a batch without progress ends. */
  const outage = () => {
    const endsAt = Date.now() + 1000;
    return () => (Date.now() < endsAt ? 503 : 200);
  };

  test('is waited for as long as there is time', async () => {
    const { verdicts } = await deliverTo(outage(), [replyTo('a'), replyTo('b')], { budgetMs: 60_000, limits });
    expect(verdicts).toEqual(['delivered', 'delivered']);
  });

  test('is not assumed for a single connection', async () => {
    const { verdicts } = await deliverTo(outage(), [replyTo('a'), replyTo('a')], { budgetMs: 60_000, limits });
    expect(verdicts).toEqual(['throttled', 'throttled']);
  });

  test('is not assumed while API Gateway throttles: clients who do not read bring that about', async () => {
    const { verdicts } = await deliverTo(() => 429, [replyTo('a'), replyTo('b')], { budgetMs: 600_000, limits });
    expect(verdicts).toEqual(['throttled', 'throttled']);
  });

  test('that outlasts the time leaves time for the dead letters, which count the posts there were', async () => {
    const budgetMs = 1000;
    const startedAt = Date.now();
    const { deadLetters, posts } = await deliverTo(() => 503, [replyTo('a'), replyTo('b')], { budgetMs, limits });
    expect(Date.now() - startedAt).toBeGreaterThan(2 * limits.attemptMs);
    expect(deadLetters.map(({ verdict }) => verdict)).toEqual(['throttled', 'throttled']);
    expect(deadLetters.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(posts.length);
  });
});
