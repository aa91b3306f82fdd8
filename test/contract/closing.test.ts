import { afterEach, describe, expect, test } from '@jest/globals';
import type { Context } from 'aws-lambda';
import { apiGatewayClose } from '../../lib/close';
import { GatewayError } from '../../lib/errors';
import { messageRoute, type WebSocketEvent } from '../../lib/route';
import { type ManagementApi, type Outcome, startManagementApi } from '../helpers/management-api';
import { silentLog } from '../helpers/silent-log';

/** What becomes of a client whose token has expired: the real AWS SDK against a local @connections. */

const connectionId = 'L0SM9cOFvHcCIhw=';
const frame = {
  event: 'error',
  id: '1',
  code: 'unauthorized',
  message: 'The token has expired; connect again with a new one.',
  retryable: false,
};

describe('a route that says unauthorized', () => {
  let api: ManagementApi | undefined;
  afterEach(() => api?.close());

  const connections = async (post: Outcome, close: Outcome) => {
    api = await startManagementApi(
      () => post,
      0,
      () => close,
    );
    return api;
  };
  const invoke = async (api: ManagementApi, remainingMs = 10_000) => {
    const close = apiGatewayClose(api.url, {
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    });
    const refuse = () => {
      throw new GatewayError('unauthorized', frame.message);
    };
    const event: WebSocketEvent = {
      requestContext: { connectionId, eventType: 'MESSAGE', connectedAt: 0 },
      body: '{"action":"send","id":"1","data":{}}',
    };
    const context = { getRemainingTimeInMillis: () => remainingMs } as Context;
    return messageRoute(silentLog, refuse, { close })(event, context);
  };

  test('posts the frame, then closes the connection, and answers with nothing', async () => {
    const api = await connections(200, 204);
    expect(await invoke(api)).toEqual({ statusCode: 200 });
    expect(api.taken.get(connectionId)).toEqual([frame]);
    expect(api.closed).toEqual([connectionId]);
  });

  test.each<Outcome>([403, 429, 500, 'reset', 'hang'])(
    'closes even where the frame is not taken: %p',
    async (outcome) => {
      const api = await connections(outcome, 204);
      expect(await invoke(api)).toEqual({ statusCode: 200 });
      expect(api.closed).toEqual([connectionId]);
    },
  );

  test('is content with a client that has left', async () => {
    expect(await invoke(await connections(410, 410))).toEqual({ statusCode: 200 });
  });

  test.each<Outcome>([403, 500, 'hang'])('answers with the frame where the connection stays: %p', async (outcome) => {
    const answer = await invoke(await connections(outcome, outcome));
    expect(JSON.parse(answer.body ?? '')).toEqual(frame);
  });

  test('closes at the second attempt, and makes no third', async () => {
    const answers: Outcome[] = [503, 204, 503, 503, 204];
    api = await startManagementApi(
      () => 200,
      0,
      () => answers.shift() as Outcome,
    );
    expect(await invoke(api)).toEqual({ statusCode: 200 });
    expect(api.closed).toHaveLength(2);
    expect(JSON.parse((await invoke(api)).body ?? '')).toEqual(frame);
    expect(api.closed).toHaveLength(4);
  });

  test('answers in time where @connections does not', async () => {
    const api = await connections('hang', 'hang');
    const answered: number[] = [];
    const answers = [10_000, 700].map(async (remainingMs) => {
      const answer = await invoke(api, remainingMs);
      answered.push(remainingMs);
      return answer;
    });
    for (const answer of await Promise.all(answers)) expect(JSON.parse(answer.body ?? '')).toEqual(frame);
    // With time enough it takes three seconds.
    expect(answered).toEqual([700, 10_000]);
  });
});
