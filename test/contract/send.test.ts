import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Context } from 'aws-lambda';
import type { RouteHandler } from '../../lib/route';
import { type ManagementApi, startManagementApi } from '../helpers/management-api';
import { noTables } from '../helpers/table-api';

/** The function `send`, as it is, where clients are asked for tokens: the real AWS SDK against a local @connections. */

const connectionId = 'L0SM9cOFvHcCIhw=';
const before = process.env;
let api: ManagementApi;
let handler: RouteHandler;

beforeAll(async () => {
  api = await startManagementApi();
  process.env = {
    ...before,
    AUTH: 'jwt',
    // Nobody listens there, and nobody is asked.
    AMQP_URL: 'amqp://127.0.0.1:1',
    ...noTables,
    MANAGEMENT_ENDPOINT: api.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    LOG_LEVEL: 'ERROR',
    IS_OFFLINE: 'true',
  };
  ({ handler } = await import('../../functions/send'));
});
afterAll(async () => {
  process.env = before;
  await api?.close();
});

test.each<[string, unknown, string | null]>([
  ['a message', '{"action":"send","id":"1","data":{}}', '1'],
  ['a message that is none', '{"action":"send","id":"1"}', '1'],
  ['another action', '{"action":"sing","id":"1"}', '1'],
  ['an id that is none', '{"action":"send","id":5,"data":{}}', null],
  ['no JSON', 'hm', null],
  ['bytes', Buffer.from('hm'), null],
  ['more than a message may have', `"${'x'.repeat(128 * 1024)}"`, null],
])('a client whose token has expired is closed when it sends %s', async (_, body, id) => {
  const closed = api.closed.length;
  const requestContext = { connectionId, eventType: 'MESSAGE' as const, connectedAt: 0 };
  const authorizer = { userId: 'alice', tokenExpiresAt: '1700000000' };
  const context = { getRemainingTimeInMillis: () => 10_000 } as Context;
  expect(await handler({ requestContext: { ...requestContext, authorizer }, body }, context)).toEqual({
    statusCode: 200,
  });
  expect(api.taken.get(connectionId)?.at(-1)).toMatchObject({ event: 'error', id, code: 'unauthorized' });
  expect(api.closed.slice(closed)).toEqual([connectionId]);
});
