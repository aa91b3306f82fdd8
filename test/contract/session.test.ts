import { randomUUID } from 'node:crypto';
import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Context } from 'aws-lambda';
import type { Connections } from '../../lib/connections';
import { dynamoConnections } from '../../lib/connections.dynamo';
import type { RouteHandler, WebSocketEvent } from '../../lib/route';
import { createSessions, type Sessions } from '../../lib/session/sessions';
import { dynamoSessionStore } from '../../lib/session/store.dynamo';
import { type ManagementApi, type Outcome, startManagementApi } from '../helpers/management-api';
import { startTableApi, type TableApi } from '../helpers/table-api';

/**
 * The functions `session`, `connect` and `disconnect`, as they are, on local tables and a local
 * @connections. What services reply is stored as the consumer does it.
 */

// biome-ignore lint/suspicious/noExplicitAny: frames are what the test says they are
type Frame = Record<string, any>;

const env = { ...process.env };
const write = { stdout: process.stdout.write, stderr: process.stderr.write };
let written = '';
const secrets = new Set<string>();

let tables: TableApi;
let api: ManagementApi;
let outcomeOf: (connectionId: string, attempt: number) => Outcome;
let handlers: Record<'connect' | 'disconnect' | 'session', RouteHandler>;
let sessions: Sessions;
let connections: Connections;
let client: DynamoDBClient;

beforeAll(async () => {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  [tables, api] = await Promise.all([startTableApi(), startManagementApi((...post) => outcomeOf(...post))]);
  Object.assign(process.env, {
    AUTH: 'jwt',
    TABLE_NAME: tables.tableName,
    SESSION_TABLE_NAME: tables.sessionTableName,
    MANAGEMENT_ENDPOINT: api.url,
    METRICS_NAMESPACE: 'sessions',
    AWS_ENDPOINT_URL_DYNAMODB: tables.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    LOG_LEVEL: 'DEBUG',
  });
  // Only now: a function reads its configuration while it is loaded.
  const load = (name: string) => jest.requireActual<{ handler: RouteHandler }>(`../../functions/${name}`).handler;
  handlers = { connect: load('connect'), disconnect: load('disconnect'), session: load('session') };
  connections = dynamoConnections(tables.tableName);
  sessions = createSessions(dynamoSessionStore(tables.sessionTableName));
  client = new DynamoDBClient({});
});

beforeEach(() => {
  outcomeOf = () => 200;
  tables.answer('work');
  const capture = (text: string | Uint8Array) => {
    written += text;
    return true;
  };
  process.stdout.write = capture;
  process.stderr.write = capture;
});

afterEach(() => {
  process.stdout.write = write.stdout;
  process.stderr.write = write.stderr;
});

afterAll(async () => {
  process.env = env;
  client?.destroy();
  await api?.close();
  await tables?.close();
});

interface Invocation {
  userId?: string;
  tokenExpiresAt?: number;
  remainingMs?: number;
}

async function invoke(
  handler: keyof typeof handlers,
  eventType: WebSocketEvent['requestContext']['eventType'],
  connectionId: string,
  body: unknown,
  { userId = 'alice', tokenExpiresAt = 4_000_000_000, remainingMs = 29_000 }: Invocation = {},
): Promise<Frame | undefined> {
  const authorizer = { userId, tokenExpiresAt: String(tokenExpiresAt) };
  const requestContext = { connectionId, eventType, connectedAt: Date.now(), authorizer };
  const endsAt = Date.now() + remainingMs;
  const context = { getRemainingTimeInMillis: () => endsAt - Date.now() } as Context;
  const response = await handlers[handler]({ requestContext, body }, context);
  expect(response.statusCode).toBe(200);
  return response.body === undefined ? undefined : JSON.parse(response.body);
}

async function connect(): Promise<string> {
  const connectionId = randomUUID();
  await invoke('connect', 'CONNECT', connectionId, undefined);
  return connectionId;
}

const disconnect = (connectionId: string) => invoke('disconnect', 'DISCONNECT', connectionId, undefined);

async function ask(connectionId: string, frame: Frame, options?: Invocation): Promise<Frame | undefined> {
  const answer = await invoke('session', 'MESSAGE', connectionId, JSON.stringify(frame), options);
  if (answer?.token !== undefined) secrets.add(answer.token);
  return answer;
}

const claim = (connectionId: string, { session, token }: Frame, after = 0, options?: Invocation) =>
  ask(connectionId, { action: 'session', session, token, after }, options);

/** A session that a connection of its own holds. */
async function opened(): Promise<{ holder: string; session: string; token: string }> {
  const holder = await connect();
  const { session, token } = (await ask(holder, { action: 'session' })) as Frame;
  return { holder, session, token };
}

const frameOf = (n: number) => JSON.stringify({ event: 'recv', id: String(n), messageId: `r-${n}`, data: { n } });

/** As the consumer stores a batch; which connection it would post it to. */
async function reply(session: string, ...numbers: number[]): Promise<string | undefined> {
  const replies = numbers.map((n) => ({ frame: frameOf(n), identity: `identity-${n}` }));
  const appended = await sessions.append(session, replies, Date.now() + 5000);
  expect(appended.result).toBe('stored');
  return appended.result === 'stored' ? appended.postTo : undefined;
}

/** The connection that the session has, as the table says. */
async function holderOf(session: string): Promise<string | undefined> {
  return (await dynamoSessionStore(tables.sessionTableName).load(session))?.state.connectionId;
}

const numbered = (seq: number) => ({ event: 'recv', seq, id: String(seq), messageId: `r-${seq}`, data: { n: seq } });
const taken = (connectionId: string) => api.taken.get(connectionId) ?? [];
const metric = (name: string) => written.split('\n').filter((line) => line.includes(`"Name":"${name}"`)).length;

describe('a session', () => {
  test('is opened, and its replies go to the connection that opened it', async () => {
    const holder = await connect();
    const before = metric('SessionsOpened');
    const answer = (await ask(holder, { action: 'session', id: '1' })) as Frame;
    expect(answer).toEqual({
      event: 'session',
      id: '1',
      session: expect.stringMatching(/^session_[\w-]{22}$/),
      token: expect.stringMatching(/^[\w-]{43}$/),
      resumed: false,
      ttlSeconds: 300,
      seq: 0,
    });
    expect(metric('SessionsOpened')).toBe(before + 1);
    expect(await reply(answer.session, 1)).toBe(holder);
    expect((await ask(await connect(), { action: 'session' })) as Frame).not.toHaveProperty('id');
  });

  test('is told only once nobody takes its connection for plain any more', async () => {
    const holder = await connect();
    const plainUntil = Date.now() + 700;
    expect(await connections.membership(holder, plainUntil)).toBeUndefined();
    const answer = (await ask(holder, { action: 'session' })) as Frame;
    expect(Date.now()).toBeGreaterThanOrEqual(plainUntil);
    expect(answer.resumed).toBe(false);
    const next = await connect();
    const nextPlainUntil = Date.now() + 700;
    await connections.membership(next, nextPlainUntil);
    const toldAt: number[] = [];
    outcomeOf = (connectionId) => {
      if (connectionId === next) toldAt.push(Date.now());
      return 200;
    };
    await claim(next, answer);
    expect(toldAt[0]).toBeGreaterThanOrEqual(nextPlainUntil);
  });

  test('is the only one of its connection, which stays in it', async () => {
    const { holder, session } = await opened();
    const other = await opened();
    for (const frame of [{ action: 'session' }, { action: 'session', session: other.session, token: other.token }]) {
      const answer = await ask(holder, { ...frame, id: '1' });
      expect(answer).toMatchObject({ event: 'error', id: '1', code: 'invalid_message', retryable: false });
    }
    expect(await reply(session, 1)).toBe(holder);
    expect(await reply(other.session, 1)).toBe(other.holder);
    expect(api.closed).not.toContain(holder);
    expect(api.closed).not.toContain(other.holder);
  });

  test('is for no connection that has ended', async () => {
    const answer = await ask(randomUUID(), { action: 'session', id: '1' });
    expect(answer).toMatchObject({ event: 'error', code: 'invalid_message' });
  });

  test('is known by who reads several replies in one frame', async () => {
    const append = async (session: string) => {
      const replies = [1, 2].map((n) => ({ frame: frameOf(n), identity: `identity-${n}` }));
      return sessions.append(session, replies, Date.now() + 5000);
    };
    const [one, several] = [await connect(), await connect()];
    const opened = (await ask(several, { action: 'session', batches: true })) as Frame;
    expect(await append(opened.session)).toMatchObject({ postTo: several, readsBatches: true });
    const other = (await ask(one, { action: 'session' })) as Frame;
    expect(await append(other.session)).toMatchObject({ postTo: one, readsBatches: false });
    await claim(one, other, 2);
    expect(await append(other.session)).toMatchObject({ postTo: one, readsBatches: false });
  });

  test('is not for a client that does not say clearly what it reads', async () => {
    const refused = await ask(await connect(), { action: 'session', batches: 'yes' });
    expect(refused).toMatchObject({ code: 'invalid_message', message: 'batches must be true or false.' });
  });

  test('is for no other action', async () => {
    const { holder } = await opened();
    expect(await ask(holder, { action: 'sing', id: '1' })).toMatchObject({ id: '1', code: 'unknown_action' });
  });
});

describe('a session that is taken over by another connection', () => {
  test('gives it what it has not, in order, after the frame that says so, and what comes later', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1, 2);
    await reply(session, 3);
    await disconnect(holder);
    expect(await reply(session, 4)).toBeUndefined();
    const next = await connect();
    const before = metric('SessionsResumed');
    expect(await ask(next, { action: 'session', id: '7', session, token, after: 1 })).toBeUndefined();
    const resumed = { event: 'session', id: '7', session, token, resumed: true, ttlSeconds: 300, seq: 4 };
    expect(taken(next)).toEqual([resumed, numbered(2), numbered(3), numbered(4)]);
    expect(metric('SessionsResumed')).toBe(before + 1);
    expect(await reply(session, 5)).toBe(next);
    expect(api.closed).not.toContain(next);
  });

  test('gives it several in one frame where its client reads that', async () => {
    const { holder, session, token } = await opened();
    await reply(session, ...Array.from({ length: 200 }, (_, n) => n + 1));
    await disconnect(holder);
    const next = await connect();
    expect(await ask(next, { action: 'session', session, token, after: 1, batches: true })).toBeUndefined();
    const [first, ...batches] = taken(next) as [Frame, ...Frame[][]];
    expect(first).toMatchObject({ event: 'session', resumed: true, seq: 200 });
    expect(batches.length).toBeLessThan(3);
    expect(batches.flat()).toEqual(Array.from({ length: 199 }, (_, n) => numbered(n + 2)));
    expect(await reply(session, 201)).toBe(next);
  });

  test('gives it also what comes during the replay, before anybody else posts', async () => {
    const { session, token } = await opened();
    await reply(session, 1);
    const next = await connect();
    let late: Promise<string | undefined> | undefined;
    let isStored = false;
    outcomeOf = (connectionId, attempt) => {
      if (connectionId !== next || attempt === 0) return 200;
      late ??= reply(session, 2, 3).finally(() => {
        isStored = true;
      });
      return isStored ? 200 : 429;
    };
    await claim(next, { session, token });
    expect(await late).toBeUndefined();
    expect(taken(next)).toEqual([expect.objectContaining({ resumed: true, seq: 1 }), ...[1, 2, 3].map(numbered)]);
    expect(await reply(session, 4)).toBe(next);
  });

  test('is lost to the earlier one, which is told and closed, and whose late disconnect disturbs nobody', async () => {
    const { holder, session, token } = await opened();
    const next = await connect();
    await claim(next, { session, token });
    expect(taken(holder)).toEqual([{ event: 'session', session, ended: 'taken_over' }]);
    expect(api.closed).toContain(holder);
    await disconnect(holder);
    expect(await reply(session, 1)).toBe(next);
  });

  test('may go back and forth: the later one wins', async () => {
    const { session, token, holder } = await opened();
    const rivals = await Promise.all([connect(), connect(), connect()]);
    await Promise.all(rivals.map((rival) => claim(rival, { session, token })));
    const winner = await reply(session, 1);
    const losers = [holder, ...rivals].filter((connectionId) => connectionId !== winner);
    expect(losers).toHaveLength(3);
    for (const loser of losers) {
      // One whose claim came after that of a later connection had no session to lose.
      const told = (taken(loser) as Frame[]).filter(
        ({ ended, code }) => ended === 'taken_over' || code === 'unavailable',
      );
      // By each that may be the last to know of it.
      expect(told.length).toBeGreaterThan(0);
      expect(api.closed).toContain(loser);
    }
    expect(api.closed).not.toContain(winner);
  });
});

describe('a claim that is refused', () => {
  const refusals: [string, string, (opened: Frame) => Promise<[claim: Frame, after?: number, options?: Invocation]>][] =
    [
      ['unknown', 'a session that never was', async ({ token }) => [{ session: `session_${'x'.repeat(22)}`, token }]],
      ['unknown', 'another token', async ({ session }) => [{ session, token: 'x'.repeat(43) }]],
      ['unknown', 'another user', async (claimed) => [claimed, 0, { userId: 'mallory' }]],
      ['incomplete', 'more than there is', async (claimed) => [claimed, 3]],
      [
        'incomplete',
        'what was received before',
        async ({ holder, session, token }) => {
          await ask(holder, { action: 'received', seq: 2 });
          return [{ session, token }, 1];
        },
      ],
      [
        'too_many_replies',
        'a session that has ended',
        async ({ session, token }) => {
          const replies = Array.from({ length: 1000 }, (_, n) => ({ frame: frameOf(n) }));
          expect(await sessions.append(session, replies, Date.now() + 5000)).toMatchObject({ result: 'ended' });
          return [{ session, token }, 2];
        },
      ],
    ];

  test.each(refusals)('as %s gives a new session instead: for %s', async (reason, _, prepare) => {
    const first = await opened();
    await reply(first.session, 1, 2);
    const [claimed, after, options] = await prepare(first);
    const next = await connect();
    const before = metric('SessionsRefused');
    const answer = (await claim(next, claimed, after, options)) as Frame;
    expect(answer).toMatchObject({ event: 'session', resumed: false, reason, seq: 0 });
    expect(answer.session).not.toBe(first.session);
    expect(answer.token).not.toBe(first.token);
    expect(metric('SessionsRefused')).toBe(before + 1);
    expect(await reply(answer.session, 1)).toBe(next);
    expect(taken(next)).toEqual([]);
  });

  test('leaves the session with the connection that holds it, where it was not this one’s to claim', async () => {
    const { holder, session } = await opened();
    await claim(await connect(), { session, token: 'x'.repeat(43) });
    expect(await reply(session, 1)).toBe(holder);
    expect(api.closed).not.toContain(holder);
  });

  test.each([
    ['session', { session: 'session_1', token: 'x'.repeat(43) }],
    ['token', { session: `session_${'x'.repeat(22)}` }],
    ['after', { session: `session_${'x'.repeat(22)}`, token: 'x'.repeat(43), after: -1 }],
  ])('because of its %s is refused before any table is asked', async (field, fields) => {
    const connectionId = await connect();
    const asked = tables.requests.length;
    const answer = (await ask(connectionId, { action: 'session', id: '1', ...fields })) as Frame;
    expect(answer).toMatchObject({ event: 'error', id: '1', code: 'invalid_message' });
    expect(answer.message).toMatch(new RegExp(`^${field} must be `));
    expect(tables.requests).toHaveLength(asked);
  });
});

describe('a claim on the connection that holds the session', () => {
  test('repairs a gap: what comes after is posted again', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1, 2, 3);
    const before = metric('SessionsResumed');
    expect(await claim(holder, { session, token }, 1)).toBeUndefined();
    expect(taken(holder)).toEqual([
      { event: 'session', session, token, resumed: true, ttlSeconds: 300, seq: 3 },
      numbered(2),
      numbered(3),
    ]);
    expect(api.closed).not.toContain(holder);
    expect(await reply(session, 4)).toBe(holder);
    expect(metric('SessionsResumed')).toBe(before);
  });

  test('while all is posted to it ends it, so that small frames do not cost a replay each', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1, 2, 3);
    let again: Promise<Frame | undefined> | undefined;
    outcomeOf = (_, attempt) => {
      if (attempt === 1) again = claim(holder, { session, token });
      return ([200, 'hang', 200][attempt] ?? 410) as Outcome;
    };
    await claim(holder, { session, token });
    expect(await again).toBeUndefined();
    const refused = expect.objectContaining({ event: 'error', code: 'unavailable', retryable: true });
    expect(taken(holder)).toEqual([expect.objectContaining({ resumed: true }), refused]);
    expect(api.closed).toContain(holder);
    outcomeOf = () => 200;
    const next = await connect();
    await claim(next, { session, token });
    expect(taken(next).slice(1)).toEqual([1, 2, 3].map(numbered));
  });

  test('is told the end, and closed, where it cannot be repaired', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1, 2);
    await ask(holder, { action: 'received', seq: 2 });
    expect(await claim(holder, { session, token }, 1)).toBeUndefined();
    expect(taken(holder)).toEqual([{ event: 'session', session, ended: 'incomplete' }]);
    expect(api.closed).toContain(holder);
  });
});

describe('a replay that does not succeed', () => {
  test.each<[string, Outcome]>([
    ['may not be posted', 403],
    ['is never taken', 429],
    ['is never answered', 'hang'],
  ])('because it %s ends with the connection, and the next one gets all', async (_, outcome) => {
    const { holder, session, token } = await opened();
    await reply(session, 1, 2);
    await disconnect(holder);
    const next = await connect();
    outcomeOf = (_, attempt) => (attempt < 2 ? 200 : outcome);
    expect(await claim(next, { session, token }, 0, { remainingMs: 7000 })).toBeUndefined();
    expect(taken(next)).toEqual([expect.objectContaining({ resumed: true }), numbered(1)]);
    expect(api.closed).toContain(next);
    expect(await reply(session, 3)).toBeUndefined();
    outcomeOf = () => 200;
    const last = await connect();
    await claim(last, { session, token }, 1);
    expect(taken(last).slice(1)).toEqual([numbered(2), numbered(3)]);
  });

  test('is given up long before its function must end, where the client takes nothing', async () => {
    const { session, token } = await opened();
    await reply(session, 1);
    const next = await connect();
    outcomeOf = (_, attempt) => (attempt < 1 ? 200 : 429);
    const startedAt = Date.now();
    await claim(next, { session, token });
    expect(Date.now() - startedAt).toBeLessThan(15_000);
    expect(api.closed).toContain(next);
  }, 30_000);

  test('goes on after faults that pass', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1, 2);
    await disconnect(holder);
    const next = await connect();
    outcomeOf = (_, attempt) => ([200, 429, 503, 200, 'reset', 200][attempt] ?? 200) as Outcome;
    await claim(next, { session, token });
    expect(taken(next).slice(1)).toEqual([numbered(1), numbered(2)]);
    expect(api.closed).not.toContain(next);
  });

  test('because the client has left lets the session wait for the next connection', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1);
    await disconnect(holder);
    const next = await connect();
    outcomeOf = () => 410;
    expect(await claim(next, { session, token })).toBeUndefined();
    expect(api.closed).not.toContain(next);
    expect(await holderOf(session)).toBeUndefined();
  });

  test('because the store fails in the midst of it ends with the connection', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1);
    await disconnect(holder);
    const next = await connect();
    outcomeOf = (connectionId) => {
      if (connectionId === next) tables.answer(({ table }) => (table === 'SessionTable' ? 'fail' : 'work'));
      return 200;
    };
    expect(await claim(next, { session, token }, 0, { remainingMs: 7000 })).toBeUndefined();
    expect(taken(next)).toHaveLength(2);
    expect(api.closed).toContain(next);
    tables.answer('work');
    outcomeOf = () => 200;
    const last = await connect();
    await claim(last, { session, token });
    expect(taken(last).slice(1)).toEqual([numbered(1)]);
  });

  test('because a reply is missing tells the end of the session', async () => {
    const { session, token } = await opened();
    await reply(session, 1);
    const next = await connect();
    let late: Promise<unknown> | undefined;
    let isLost = false;
    outcomeOf = (connectionId, attempt) => {
      if (connectionId !== next || attempt === 0) return 200;
      late ??= reply(session, 2)
        .then(() => losePages(session))
        .finally(() => {
          isLost = true;
        });
      return isLost ? 200 : 429;
    };
    await claim(next, { session, token });
    await late;
    expect(taken(next)).toEqual([
      expect.objectContaining({ resumed: true }),
      numbered(1),
      { event: 'session', session, ended: 'incomplete' },
    ]);
    expect(api.closed).toContain(next);
  });
});

async function losePages(session: string): Promise<void> {
  const { Items = [] } = await client.send(
    new ScanCommand({ TableName: tables.sessionTableName, ConsistentRead: true }),
  );
  const pages = Items.filter((item) => item.session?.S === session).flatMap(
    ({ item }) => item?.S?.split('page#')[1] ?? [],
  );
  expect(pages.length).toBeGreaterThan(0);
  await dynamoSessionStore(tables.sessionTableName).deletePages(session, pages);
}

describe('while the tables fail', () => {
  const faults = ['fail', 'throttle', 'reset', 'hang'] as const;

  test.each(faults)('a session is neither opened nor taken over nor lost: %s', async (fault) => {
    const { holder, session, token } = await opened();
    await reply(session, 1);
    const next = await connect();
    const before = metric('SessionsFailed');
    tables.answer(fault);
    const failed = { event: 'error', id: '1', code: 'unavailable', retryable: true };
    const answers = [
      ask(next, { action: 'session', id: '1' }, { remainingMs: 2000 }),
      ask(next, { action: 'session', session, token, id: '1' }, { remainingMs: 6500 }),
      ask(holder, { action: 'received', seq: 1, id: '1' }, { remainingMs: 2000 }),
    ];
    for (const answer of await Promise.all(answers)) expect(answer).toMatchObject(failed);
    expect(metric('SessionsFailed')).toBe(before + 3);
    tables.answer('work');
    expect(await reply(session, 2)).toBe(holder);
    await claim(next, { session, token });
    expect(taken(next).slice(1)).toEqual([numbered(1), numbered(2)]);
  });

  test('a connection that could not be put into the session lets it go again', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1);
    await disconnect(holder);
    const next = await connect();
    tables.answer(({ operation }) => (operation === 'UpdateItem' ? 'fail' : 'work'));
    expect(await claim(next, { session, token })).toMatchObject({ event: 'error', code: 'unavailable' });
    tables.answer('work');
    expect(await holderOf(session)).toBeUndefined();
    await reply(session, 2);
    expect(api.closed).not.toContain(next);
    await claim(next, { session, token });
    expect(taken(next).slice(1)).toEqual([numbered(1), numbered(2)]);
  });

  test('a connection that may be in a session of which its client does not know is closed', async () => {
    for (const frame of [
      { action: 'session', id: '1' },
      { action: 'session', id: '1', session: `session_${'x'.repeat(22)}`, token: 'x'.repeat(43) },
    ]) {
      const holder = await connect();
      tables.answer(({ operation }) => (operation === 'UpdateItem' ? 'lose' : 'work'));
      const failed = await ask(holder, frame);
      tables.answer('work');
      expect(failed).toMatchObject({ event: 'error', id: '1', code: 'unavailable', retryable: true });
      expect(taken(holder)).toEqual([failed]);
      expect(api.closed).toContain(holder);
    }
  });

  test('a disconnect of which the session does not learn ends in time, and keeps nobody from taking it over', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1);
    tables.answer(({ table }) => (table === 'SessionTable' ? 'fail' : 'work'));
    const requestContext = { connectionId: holder, eventType: 'DISCONNECT' as const, connectedAt: Date.now() };
    const endsAt = Date.now() + 2000;
    const context = { getRemainingTimeInMillis: () => endsAt - Date.now() } as Context;
    expect(await handlers.disconnect({ requestContext }, context)).toEqual({ statusCode: 503 });
    expect(Date.now()).toBeLessThan(endsAt);
    tables.answer('work');
    const next = await connect();
    await claim(next, { session, token });
    expect(taken(next).slice(1)).toEqual([numbered(1)]);
  });

  test('answers that are lost change nothing', async () => {
    const lost = new Set<string>();
    const loseFirst = () => {
      lost.clear();
      tables.answer(({ operation, table }) => {
        const key = `${operation} ${table}`;
        if (lost.has(key)) return 'work';
        lost.add(key);
        return 'lose';
      });
    };
    const holder = await connect();
    loseFirst();
    const { session, token } = (await ask(holder, { action: 'session' })) as Frame;
    expect(await reply(session, 1)).toBe(holder);
    loseFirst();
    expect(await ask(holder, { action: 'received', seq: 1 })).toBeUndefined();
    await reply(session, 2);
    const next = await connect();
    loseFirst();
    await claim(next, { session, token }, 1);
    expect(taken(next)).toEqual([expect.objectContaining({ resumed: true, seq: 2 }), numbered(2)]);
    expect(taken(holder)).toEqual([{ event: 'session', session, ended: 'taken_over' }]);
    expect(lost.size).toBeGreaterThan(2);
  });
});

describe('received', () => {
  const pagesOf = async (session: string) => {
    const scan = new ScanCommand({ TableName: tables.sessionTableName, ConsistentRead: true });
    const { Items = [] } = await client.send(scan);
    return Items.filter((item) => item.session?.S === session && item.item?.S?.startsWith('page#')).length;
  };

  test('lets the store forget, and has no answer', async () => {
    const { holder, session } = await opened();
    await reply(session, 1, 2);
    await reply(session, 3);
    expect(await ask(holder, { action: 'received', seq: 1 })).toBeUndefined();
    expect(await pagesOf(session)).toBe(2);
    expect(await ask(holder, { action: 'received', seq: 2 })).toBeUndefined();
    expect(await pagesOf(session)).toBe(1);
    expect(await ask(holder, { action: 'received', seq: 1 })).toBeUndefined();
    expect(await ask(holder, { action: 'received', seq: 3 })).toBeUndefined();
    expect(await pagesOf(session)).toBe(0);
  });

  test('is refused beyond the last reply, without a session, and without a number', async () => {
    const { holder, session } = await opened();
    await reply(session, 1);
    const refused = { event: 'error', id: '1', code: 'invalid_message' };
    expect(await ask(holder, { action: 'received', seq: 2, id: '1' })).toMatchObject(refused);
    expect(await ask(holder, { action: 'received', id: '1' })).toMatchObject(refused);
    expect(await ask(await connect(), { action: 'received', seq: 0, id: '1' })).toMatchObject(refused);
    expect(await pagesOf(session)).toBe(1);
  });

  test('of a connection that has lost its session is refused, and the connection closed', async () => {
    const { holder, session, token } = await opened();
    await reply(session, 1);
    await claim(await connect(), { session, token });
    const closed = api.closed.length;
    expect(await ask(holder, { action: 'received', seq: 1, id: '1' })).toBeUndefined();
    expect(taken(holder).at(-1)).toMatchObject({ event: 'error', id: '1', code: 'unavailable', retryable: true });
    expect(api.closed.slice(closed)).toEqual([holder]);
    expect(await pagesOf(session)).toBe(1);
  });

  test('asks for the session of its connection once, and then reads and writes once', async () => {
    const { holder, session } = await opened();
    await reply(session, 1);
    await reply(session, 2);
    await ask(holder, { action: 'received', seq: 1 });
    const asked = tables.requests.length;
    await ask(holder, { action: 'received', seq: 2 });
    expect(tables.requests.slice(asked)).toEqual([
      { operation: 'GetItem', table: 'SessionTable' },
      { operation: 'PutItem', table: 'SessionTable' },
      { operation: 'BatchWriteItem', table: 'SessionTable' },
    ]);
  });
});

describe('what is asked of the tables', () => {
  const asked = async (work: () => Promise<unknown>) => {
    const before = tables.requests.length;
    await work();
    return tables.requests.slice(before).map(({ operation, table }) => `${operation} ${table}`);
  };

  test('is bounded: to open, to take over, to leave', async () => {
    const holder = await connect();
    let answer: Frame = {};
    const opening = await asked(async () => {
      answer = (await ask(holder, { action: 'session' })) as Frame;
    });
    expect(opening).toEqual(['GetItem SessionTable', 'PutItem SessionTable', 'UpdateItem ConnectionTable']);
    await reply(answer.session, 1);
    expect(await asked(() => disconnect(holder))).toEqual([
      'DeleteItem ConnectionTable',
      'GetItem SessionTable',
      'PutItem SessionTable',
    ]);
    const next = await connect();
    expect(await asked(() => claim(next, answer))).toEqual([
      'GetItem ConnectionTable',
      'GetItem SessionTable',
      'BatchGetItem SessionTable',
      'PutItem SessionTable',
      'UpdateItem ConnectionTable',
      'GetItem SessionTable',
      'PutItem SessionTable',
    ]);
    expect(await asked(async () => disconnect(await connect()))).toEqual([
      'PutItem ConnectionTable',
      'DeleteItem ConnectionTable',
    ]);
  });
});

test.each(['session', 'received'])('a client whose token has expired is closed when it sends %s', async (action) => {
  const { holder } = await opened();
  const closed = api.closed.length;
  expect(await ask(holder, { action, id: '1' }, { tokenExpiresAt: 1_700_000_000 })).toBeUndefined();
  expect(taken(holder).at(-1)).toMatchObject({ event: 'error', id: '1', code: 'unauthorized' });
  expect(api.closed.slice(closed)).toEqual([holder]);
});

test('no token of a session is in a log, whatever its level, nor in a table', async () => {
  const { session, token } = await opened();
  await claim(await connect(), { session: `${session}x`, token });
  await claim(await connect(), { session, token: `${token}x` });
  tables.answer('fail');
  await claim(await connect().catch(() => randomUUID()), { session, token }, 0, { remainingMs: 7000 });
  tables.answer('work');
  expect(secrets.size).toBeGreaterThan(20);
  expect(written).toContain('Refused a message');
  const stored = await Promise.all(
    [tables.tableName, tables.sessionTableName].map((TableName) => client.send(new ScanCommand({ TableName }))),
  );
  const found = JSON.stringify(stored.map(({ Items }) => Items)) + written;
  expect([...secrets].filter((secret) => found.includes(secret))).toEqual([]);
});
