import { describe, expect, test } from '@jest/globals';
import type { Context } from 'aws-lambda';
import { GatewayError } from '../../lib/errors';
import { ackFrame } from '../../lib/frames';
import type { LogFields } from '../../lib/log';
import { sentAtOf } from '../../lib/message-id';
import { refusalOf } from '../../lib/metrics';
import { messageRoute } from '../../lib/route';
import { silentLog } from '../helpers/silent-log';

const context = { getRemainingTimeInMillis: () => 10_000 } as Context;
const event = (frame: unknown) => ({
  requestContext: { connectionId: 'c', eventType: 'MESSAGE' as const, connectedAt: 0 },
  body: JSON.stringify(frame),
});

describe('a message', () => {
  test('has one messageId, which begins with the time', async () => {
    const startedAt = Date.now();
    const route = messageRoute(silentLog, (_event, _deadline, messageId) => ackFrame(null, messageId));
    const ids = await Promise.all([route(event({}), context), route(event({}), context)]).then((responses) =>
      responses.map(({ body = '' }) => JSON.parse(body).messageId),
    );
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) expect(sentAtOf(id)).toBeGreaterThanOrEqual(startedAt);
  });

  test('that is refused is logged with its messageId, and the trace that it is or would be of', async () => {
    const lines: LogFields[] = [];
    const log = { ...silentLog, info: (_: string, fields: LogFields = {}) => void lines.push(fields) };
    const ids: string[] = [];
    const route = messageRoute(log, (_event, _deadline, messageId) => {
      ids.push(messageId);
      throw new GatewayError('unavailable', 'later');
    });
    await route(event({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' }), context);
    await route(event({ traceparent: 'x' }), context);
    const [one = '', other = ''] = ids.map((id) => id.replaceAll('-', ''));
    expect(lines).toEqual([
      {
        connectionId: 'c',
        messageId: ids[0],
        traceparent: `00-0af7651916cd43dd8448eb211c80319c-${one.slice(16)}-00`,
        code: 'unavailable',
      },
      { connectionId: 'c', messageId: ids[1], traceparent: `00-${other}-${other.slice(16)}-01`, code: 'unavailable' },
    ]);
  });
});

test.each([
  ['bad_frame', 'SendsRefused'],
  ['invalid_message', 'SendsRefused'],
  ['unauthorized', 'SendsRefused'],
  ['unavailable', 'SendsFailed'],
  ['unroutable', 'SendsFailed'],
  ['internal', 'SendsFailed'],
] as const)('a message that ends in %s counts in %s', (code, name) => {
  expect(refusalOf(new GatewayError(code, ''))).toEqual({ [name]: 1 });
});
