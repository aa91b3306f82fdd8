import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { GatewayError } from '../../../lib/errors';
import { parseFrame } from '../../../lib/frames';
import { claimIn, readsBatches, seqIn, sessionIn } from '../../../lib/session/claim';

const session = 'session_AAAAAAAAAAAAAAAAAAAAA-';
const token = `${'x'.repeat(42)}_`;
const frame = (fields: object) => parseFrame(JSON.stringify({ action: 'session', ...fields }));

function refusal(read: () => unknown): string {
  try {
    read();
    return 'accepted';
  } catch (error) {
    const { code, message } = error as GatewayError;
    return `${code}: ${message}`;
  }
}

test('a client reads several replies in one frame only where it says so', () => {
  expect([true, false, null, undefined].map((batches) => readsBatches(frame({ batches })))).toEqual([
    true,
    false,
    false,
    false,
  ]);
  for (const batches of ['true', 1, {}, []]) {
    expect(refusal(() => readsBatches(frame({ batches })))).toBe('invalid_message: batches must be true or false.');
  }
});

describe('a claim', () => {
  test('is read with all its fields, and begins with the first reply unless it says otherwise', () => {
    expect(claimIn(frame({ session, token, after: 17 }))).toEqual({ session, token, after: 17 });
    expect(claimIn(frame({ session, token }))).toEqual({ session, token, after: 0 });
    expect(claimIn(frame({ session, token, after: null }))).toEqual({ session, token, after: 0 });
  });

  test('is none where there is nothing of one', () => {
    expect(claimIn(frame({}))).toBeUndefined();
    expect(claimIn(frame({ session: null, token: null, after: null }))).toBeUndefined();
  });

  test.each<[string, object]>([
    ['session', { token }],
    ['session', { after: 0 }],
    ['session', { session: '', token }],
    ['session', { session: 5, token }],
    ['session', { session: [session], token }],
    ['session', { session: 'session_short', token }],
    ['session', { session: `${session}x`, token }],
    ['session', { session: `${session}\n`, token }],
    ['token', { session }],
    ['token', { session, token: '' }],
    ['token', { session, token: [token] }],
    ['token', { session, token: token.slice(1) }],
    ['token', { session, token: `${token}x` }],
    ['token', { session, token: `${token}\n` }],
    ['token', { session, token: token.replace('_', '=') }],
    ['after', { session, token, after: -1 }],
    ['after', { session, token, after: 1.5 }],
    ['after', { session, token, after: '1' }],
    ['after', { session, token, after: 2 ** 53 }],
    ['after', { session, token, after: true }],
  ])('is refused by the field that is wrong, %s: %j', (field, fields) => {
    expect(refusal(() => claimIn(frame(fields)))).toMatch(new RegExp(`^invalid_message: ${field} must be `));
  });

  test('is refused without a word of what was in it', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 8 }), (text) => {
        for (const fields of [
          { session: text, token },
          { session, token: text },
          { session, token, after: text },
        ]) {
          const words = refusal(() => claimIn(frame(fields)));
          expect(words).toMatch(/^invalid_message: /);
          expect(words).not.toContain(text);
        }
      }),
    );
  });
});

test('the session of a send may be absent, and is refused unless it is one', () => {
  expect(sessionIn(frame({ session }))).toBe(session);
  expect(sessionIn(frame({}))).toBeUndefined();
  expect(sessionIn(frame({ session: null }))).toBeUndefined();
  expect(refusal(() => sessionIn(frame({ session: 'hm' })))).toMatch(/^invalid_message: session must be /);
});

test('what is received is a number from 0 on', () => {
  expect(seqIn(frame({ seq: 0 }))).toBe(0);
  expect(seqIn(frame({ seq: Number.MAX_SAFE_INTEGER }))).toBe(Number.MAX_SAFE_INTEGER);
  for (const seq of [undefined, null, -1, 0.5, '1', 2 ** 53, [1]]) {
    expect(refusal(() => seqIn(frame({ seq })))).toMatch(/^invalid_message: seq must be /);
  }
});
