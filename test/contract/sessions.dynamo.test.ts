import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createSessions, type Sessions } from '../../lib/session/sessions';
import type { SessionStore } from '../../lib/session/store';
import { dynamoSessionStore } from '../../lib/session/store.dynamo';
import { closeServer } from '../helpers/http-server';
import { startTableApi, type TableApi } from '../helpers/table-api';
import { describeSessions } from './sessions.suite';

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

const storeAt = (endpoint: string): SessionStore =>
  dynamoSessionStore('SessionTable', {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });

let api: TableApi;

beforeAll(async () => {
  api = await startTableApi();
});

afterAll(() => api.close());

describeSessions('DynamoDB (dynalite)', async () => storeAt(api.url));

describe('sessions ask of DynamoDB', () => {
  const holder = { connectionId: 'c', connectedAt: Date.now() };
  const reply = { frame: '{"event":"recv","data":{}}' };
  let sessions: Sessions;
  let session: string;
  let token: string;

  beforeAll(async () => {
    sessions = createSessions(storeAt(api.url));
    ({ session, token } = await sessions.open(holder, inTime()));
  });

  const inTime = () => Date.now() + 20_000;

  async function asked(work: Promise<unknown>): Promise<string[]> {
    const { length } = api.requests;
    await work;
    return api.requests.slice(length).map(({ operation }) => operation);
  }

  test('one read and one write for a session that is opened', async () => {
    expect(await asked(sessions.open(holder, inTime()))).toEqual(['GetItem', 'PutItem']);
  });

  test('as much for a batch of replies, and one more write for each page', async () => {
    const batch = Array.from({ length: 100 }, () => reply);
    expect(await asked(sessions.append(session, batch, inTime()))).toEqual(['GetItem', 'PutItem', 'PutItem']);
    const large = Array.from({ length: 4 }, () => ({ frame: JSON.stringify('x'.repeat(120_000)) }));
    expect(await asked(sessions.append(session, large, inTime()))).toEqual(['GetItem', ...Array(3).fill('PutItem')]);
  });

  test('one read for a copy of what is stored', async () => {
    const known = [{ ...reply, identity: 'known' }];
    await sessions.append(session, known, inTime());
    expect(await asked(sessions.append(session, known, inTime()))).toEqual(['GetItem']);
  });

  test('one read, one for each hundred pages and one write for a takeover, and as much at most for its end', async () => {
    const claim = { session, token, after: 0 };
    const resume = () => asked(sessions.resume(holder, claim, inTime()));
    expect(await resume()).toEqual(['GetItem', 'BatchGetItem', 'PutItem']);
    expect(await asked(sessions.caughtUp(session, 'c', 105, inTime()))).toEqual(['GetItem', 'PutItem']);
    for (let count = 0; count < 100; count += 1) await sessions.append(session, [reply], inTime());
    expect(await resume()).toEqual(['GetItem', 'BatchGetItem', 'BatchGetItem', 'PutItem']);
    expect(await asked(sessions.caughtUp(session, 'c', 204, inTime()))).toEqual(['GetItem', 'BatchGetItem']);
    expect(await asked(sessions.caughtUp(session, 'c', 205, inTime()))).toEqual(['GetItem', 'PutItem']);
  });

  test('one read and one write for what is received, and one more for each 25 pages that this frees', async () => {
    const received = (seq: number) => asked(sessions.received(session, 'c', seq, inTime()));
    expect(await received(50)).toEqual(['GetItem', 'PutItem']);
    expect(await received(50)).toEqual(['GetItem']);
    expect(await received(106)).toEqual(['GetItem', 'PutItem', 'BatchWriteItem']);
    expect(await received(132)).toEqual(['GetItem', 'PutItem', 'BatchWriteItem', 'BatchWriteItem']);
  });

  test('one read and one write for a connection that has ended, and no write where it holds nothing', async () => {
    expect(await asked(sessions.detach(session, 'another', inTime()))).toEqual(['GetItem']);
    expect(await asked(sessions.detach(session, 'c', inTime()))).toEqual(['GetItem', 'PutItem']);
  });
});

describe('while DynamoDB', () => {
  const holder = { connectionId: 'c', connectedAt: Date.now() };
  const inTime = () => Date.now() + 20_000;

  test('answers no write that it has done, a reply is stored once', async () => {
    const sessions = createSessions(storeAt(api.url));
    const { session, token } = await sessions.open(holder, inTime());
    const append = async (frame: string) => {
      let lost = 0;
      api.answer(({ operation }) => (operation === 'PutItem' && ++lost <= 4 ? 'lose' : 'work'));
      const appended = await sessions.append(session, [{ frame }], inTime());
      api.answer('work');
      expect(lost).toBeGreaterThanOrEqual(4);
      return appended;
    };
    expect(await append('{"n":1}')).toMatchObject({ seqs: [{ seq: 1, is: 'new' }] });
    expect(await append('{"n":2}')).toMatchObject({ seqs: [{ seq: 2, is: 'new' }] });
    const resumed = await sessions.resume(holder, { session, token, after: 0 }, inTime());
    expect(resumed).toMatchObject({ seq: 2, replies: [{ frame: '{"n":1}' }, { frame: '{"n":2}' }] });
  });

  test.each(['throttle', 'fail', 'reset', 'hang'] as const)('fails (%s), it rejects by the deadline', async (how) => {
    const sessions = createSessions(storeAt(api.url));
    const { session } = await sessions.open(holder, inTime());
    api.answer(how);
    const deadline = Date.now() + 300;
    const failure = await sessions.append(session, [{ frame: '{}' }], deadline).catch((error: Error) => error);
    api.answer('work');
    expect(failure).toMatchObject({ message: 'The session store did not do it in time.' });
    expect(Date.now()).toBeLessThan(deadline + 3000);
  });

  test('leaves pages of a batch unread, they are asked for again', async () => {
    const asked: { Keys: object[]; ConsistentRead?: boolean }[] = [];
    const server = createServer(async (request, response) => {
      const { RequestItems } = (await json(request)) as { RequestItems: { SessionTable: { Keys: object[] } } };
      const { Keys } = RequestItems.SessionTable;
      asked.push(RequestItems.SessionTable);
      const answer = {
        Responses: { SessionTable: Keys.slice(0, 60).map((key) => ({ ...key, frames: { L: [{ S: '{}' }] } })) },
        UnprocessedKeys: Keys.length > 60 ? { SessionTable: { Keys: Keys.slice(60), ConsistentRead: true } } : {},
      };
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const store = storeAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const ids = Array.from({ length: 150 }, (_, index) => `p${index}`);
    const pages = await store.pages('session_x', ids);
    await closeServer(server);
    expect([...pages.keys()].sort()).toEqual([...ids].sort());
    expect(asked.map(({ Keys }) => Keys.length).sort((a, b) => a - b)).toEqual([40, 50, 100]);
    expect(asked.every(({ ConsistentRead }) => ConsistentRead)).toBe(true);
  });
});
