import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { leaseSeconds } from '../../../lib/connections';
import {
  abandoned,
  appended,
  boundPassed,
  caughtUp,
  detached,
  ended,
  endsAt,
  hashOf,
  isExpired,
  isSessionId,
  lapsed,
  lastSeqOf,
  mayClaim,
  type NewReply,
  numbered,
  opened,
  overFor,
  received,
  type SessionState,
  sessionLimits,
  takenOver,
} from '../../../lib/session/state';

const now = 1_800_000_000_500;
const holder = { connectionId: 'c-1', connectedAt: now };
const token = 'a token';
const fresh = opened('session_x', token, holder, now, 'opening');

/** As the use case adds them: what is new, in one page. */
function add(state: SessionState, replies: readonly NewReply[], change = 'change'): SessionState {
  const seqs = numbered(state, replies);
  const added = replies.filter((_, index) => seqs[index]?.is === 'new');
  const bytes = added.reduce((sum, { frame }) => sum + Buffer.byteLength(frame), 0);
  return added.length === 0 ? state : appended(state, added, [{ id: change, count: added.length, bytes }], change);
}

const unknown = (count: number): NewReply[] => Array.from({ length: count }, () => ({ frame: '{}' }));

describe('a session id', () => {
  test('is told from a connection’s', () => {
    expect(isSessionId('session_AbCdEfGhIjKlMnOpQrSt-_')).toBe(true);
    expect(isSessionId('L0SM9cOFvHcCIhw=')).toBe(false);
    expect(isSessionId('session_AbCdEfGhIjKlMnOpQrSt-')).toBe(false);
    expect(isSessionId('session_AbCdEfGhIjKlMnOpQrSt-_x')).toBe(false);
    expect(isSessionId('session_AbCdEfGhIjKlMnOpQrSt-=')).toBe(false);
    expect(isSessionId(' session_AbCdEfGhIjKlMnOpQrSt-_')).toBe(false);
    expect(isSessionId('session_AbCdEfGhIjKlMnOpQrSt-_\n')).toBe(false);
  });
});

describe('a token', () => {
  test('is kept as its hash', () => {
    expect(fresh.tokenHash).toMatch(/^[\da-f]{64}$/);
    expect(hashOf(token)).toBe(fresh.tokenHash);
    expect(JSON.stringify(fresh)).not.toContain(token);
  });

  test('opens its session to its user alone', () => {
    expect(mayClaim(fresh, holder, token)).toBe(true);
    expect(mayClaim(fresh, holder, 'another')).toBe(false);
    expect(mayClaim(fresh, { ...holder, userId: 'alice' }, token)).toBe(false);
    const ofAlice = opened('session_x', token, { ...holder, userId: 'alice' }, now, 'opening');
    expect(mayClaim(ofAlice, holder, token)).toBe(false);
    expect(mayClaim(ofAlice, { ...holder, userId: 'alice' }, token)).toBe(true);
  });
});

describe('the time of a session', () => {
  const lastMomentOf = ({ expiresAt }: SessionState) => expiresAt * 1000 - 1;

  test('is the lease of its connection, and then as long as promised', () => {
    expect(lastMomentOf(fresh)).toBeGreaterThanOrEqual(now + (leaseSeconds + sessionLimits.ttlSeconds) * 1000 - 1);
    expect(lastMomentOf(fresh)).toBeLessThan(now + (leaseSeconds + sessionLimits.ttlSeconds + 1) * 1000);
  });

  test('is as long as promised from the end of its connection, and begins anew with the next', () => {
    const waiting = detached(fresh, 'c-1', now + 1000) ?? fresh;
    expect(isExpired(waiting, now + 1000 + sessionLimits.ttlSeconds * 1000 - 1)).toBe(false);
    expect(isExpired(waiting, now + 1000 + sessionLimits.ttlSeconds * 1000 + 1000)).toBe(true);
    expect(isExpired(waiting, lastMomentOf(waiting))).toBe(false);
    expect(isExpired(waiting, lastMomentOf(waiting) + 1)).toBe(true);
    expect(takenOver(waiting, holder, now, 'change').expiresAt).toBe(fresh.expiresAt);
  });

  test('is over at its greatest age, at an end, and once it was found over', () => {
    expect(endsAt(fresh)).toBe(now + sessionLimits.maxAgeSeconds * 1000);
    expect(overFor(fresh, endsAt(fresh) - 1)).toBeUndefined();
    expect(overFor(fresh, endsAt(fresh))).toBe('too_old');
    expect(overFor(ended(fresh, 'too_many_bytes', 'change'), endsAt(fresh))).toBe('too_many_bytes');
    expect(overFor(lapsed(fresh, 'change'), now)).toBe('too_old');
  });
});

describe('the holder of a session', () => {
  const replaying = takenOver(fresh, { connectionId: 'c-2', connectedAt: now }, now + 1, 'change');

  test('is the last that took it over, and is replayed to until it has caught up', () => {
    expect(replaying).toMatchObject({ connectionId: 'c-2', replayUntil: now + 1 });
    expect(caughtUp(replaying)).toEqual({ ...fresh, connectionId: 'c-2', changes: ['opening', 'change'] });
  });

  test('is nobody once it has ended, and no replay outlives it', () => {
    const waiting = detached(replaying, 'c-2', now);
    expect(waiting).not.toHaveProperty('connectionId');
    expect(waiting).not.toHaveProperty('replayUntil');
  });

  test('takes the place of those before, who are to be told until one has caught up, or they have ended', () => {
    const third = takenOver(replaying, { connectionId: 'c-3', connectedAt: now }, now + 1, 'change');
    expect(third.unseated).toEqual(['c-1', 'c-2']);
    expect(takenOver(third, { connectionId: 'c-1', connectedAt: now }, now + 1, 'change').unseated).toEqual([
      'c-2',
      'c-3',
    ]);
    expect(caughtUp(third).unseated).toEqual([]);
    expect(detached(third, 'c-1', now)).toEqual({ ...third, unseated: ['c-2'] });
    expect(detached(third, 'c-3', now)).toMatchObject({ unseated: ['c-1', 'c-2'] });
    expect(detached(third, 'c-4', now)).toBeUndefined();
    let fight = third;
    for (let count = 4; count < 40; count += 1) {
      fight = takenOver(fight, { connectionId: `c-${count}`, connectedAt: now }, now + 1, 'change');
    }
    expect(fight.unseated).toEqual(Array.from({ length: sessionLimits.unseated }, (_, index) => `c-${29 + index}`));
  });

  test('is given up with those before where a replay has died, and not while it is at work', () => {
    expect(abandoned(replaying, now)).toEqual([]);
    expect(abandoned(replaying, now + 1)).toEqual(['c-1', 'c-2']);
    expect(abandoned(detached(replaying, 'c-2', now) ?? fresh, now)).toEqual(['c-1']);
    expect(abandoned(caughtUp(replaying), now + 1)).toEqual([]);
  });

  test('stays known after the end, to be told, but not where the time was over', () => {
    expect(ended(fresh, 'incomplete', 'change')).toMatchObject({ connectionId: 'c-1', pages: [] });
    expect(lapsed(fresh, 'change')).not.toHaveProperty('connectionId');
  });
});

describe('a reply', () => {
  const known = (...identities: string[]) => identities.map((identity) => ({ frame: '{}', identity }));

  test('has the next number, a copy that of its original', () => {
    const state = add(fresh, known('a', 'b'));
    expect(numbered(state, known('b', 'c', 'a', 'c'))).toEqual([
      { seq: 2, is: 'copy' },
      { seq: 3, is: 'new' },
      { seq: 1, is: 'copy' },
      { seq: 3, is: 'copy' },
    ]);
    expect(numbered(received(state, 1), known('a', 'b')).map(({ is }) => is)).toEqual(['received', 'copy']);
  });

  test('whose identity is not known is new', () => {
    const state = add(fresh, [...unknown(2), { frame: '{}', identity: '' }]);
    expect(state.identities).toEqual(['', '', '']);
    const [one, two] = numbered(state, [{ frame: '{}', identity: '' }, { frame: '{}' }]);
    expect([one, two]).toEqual([
      { seq: 4, is: 'new' },
      { seq: 5, is: 'new' },
    ]);
  });
});

test('the latest changes are known, and no more than those', () => {
  let state = fresh;
  for (let count = 1; count <= sessionLimits.changes + 1; count += 1) state = add(state, unknown(1), `${count}`);
  expect(state.changes).toHaveLength(sessionLimits.changes);
  expect(state.changes).not.toContain('1');
  expect(state.changes).toEqual(expect.arrayContaining(['2', `${sessionLimits.changes + 1}`]));
});

describe('the bounds of a session', () => {
  test('are passed by the one reply that is too many', () => {
    const full = add(fresh, unknown(sessionLimits.maxReplies - 1));
    expect(boundPassed(full, unknown(1))).toBeUndefined();
    expect(boundPassed(full, unknown(2))).toBe('too_many_replies');
    expect(boundPassed(received(full, 1), unknown(2))).toBeUndefined();
  });

  test('are passed by the one byte that is too many, in UTF-8', () => {
    const half = 'é'.repeat(sessionLimits.maxBytes / 4);
    const state = add(fresh, [{ frame: half }]);
    expect(boundPassed(state, [{ frame: half }])).toBeUndefined();
    expect(boundPassed(state, [{ frame: half }, { frame: '0' }])).toBe('too_many_bytes');
    expect(boundPassed(received(state, 1), [{ frame: half }, { frame: '0' }])).toBeUndefined();
  });
});

test('whatever is added and received, the pages cover all that is not received, and the record stays small', () => {
  const step = fc.oneof(
    fc.record({ add: fc.array(fc.constantFrom('', 'a', 'b', 'c', 'd', 'e', 'f'), { minLength: 1, maxLength: 40 }) }),
    fc.record({ receive: fc.nat(60) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let state = fresh;
      for (const [index, next] of steps.entries()) {
        const { lastSeq, receivedSeq } = state;
        if ('add' in next) {
          const replies = next.add.map((identity) => ({
            frame: '{}',
            identity: identity && `${identity}${index % 3}`,
          }));
          const seqs = numbered(state, replies);
          state = add(state, replies, `${index}`);
          const added = seqs.filter(({ is }) => is === 'new').map(({ seq }) => seq);
          expect(added).toEqual(Array.from({ length: added.length }, (_, offset) => lastSeq + 1 + offset));
          // Whoever comes again at once is known.
          expect(
            numbered(state, replies)
              .map(({ seq, is }, i) => replies[i]?.identity === '' || (seq === seqs[i]?.seq && is !== 'new'))
              .every(Boolean),
          ).toBe(true);
        } else {
          state = received(state, Math.min(lastSeq, receivedSeq + next.receive));
        }
        const { pages } = state;
        expect(pages.at(-1) === undefined ? state.receivedSeq : lastSeqOf(pages.at(-1) as never)).toBe(state.lastSeq);
        expect(pages[0] === undefined || pages[0].firstSeq <= state.receivedSeq + 1).toBe(true);
        expect(pages.every((page) => lastSeqOf(page) > state.receivedSeq)).toBe(true);
        expect(pages.slice(1).every((page, at) => page.firstSeq === lastSeqOf(pages[at] as never) + 1)).toBe(true);
        expect(state.identities).toHaveLength(Math.min(state.lastSeq, sessionLimits.identities));
        expect(state.changes.length).toBeLessThanOrEqual(sessionLimits.changes);
      }
    }),
  );
});
