import { expect, test } from '@jest/globals';
import { createSessions } from '../../lib/session/sessions';
import type { SessionState } from '../../lib/session/state';
import { memorySessionStore } from '../helpers/session-memory';
import { describeSessions } from './sessions.suite';

describeSessions('a store in memory', async () => memorySessionStore());

test('a record that cannot be read is no fault of the store, and not read again until the deadline', async () => {
  let loads = 0;
  const load = async () => {
    loads += 1;
    return { state: { expiresAt: Number.POSITIVE_INFINITY } as SessionState, version: 1 };
  };
  const sessions = createSessions({ ...memorySessionStore(), load });
  const inAMinute = Date.now() + 60_000;
  await expect(sessions.append('session_x', [{ frame: '{}' }], inAMinute)).rejects.toThrow(TypeError);
  expect(loads).toBe(1);
});
