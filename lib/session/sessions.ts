import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fullJitterMs } from '../backoff';
import { before } from '../deadline';
import { pageReader, pageWriter, type StoredReply } from './pages';
import {
  abandoned,
  appended,
  boundPassed,
  caughtUp,
  detached,
  type EndReason,
  ended,
  endsAt,
  type Holder,
  isExpired,
  isHeldByLater,
  isReplayedTo,
  lapsed,
  mayClaim,
  type NewReply,
  type Numbered,
  numbered,
  opened,
  overFor,
  type RefusalReason,
  received,
  type SessionState,
  takenOver,
} from './state';
import type { SessionStore } from './store';

/**
 * Sessions, whoever touches them at the same time. Each use case loads the session's record, decides what becomes of it,
 * and swaps it if nobody else has meanwhile; else it looks again. So every reply has one number and is stored before it is
 * posted, one connection at a time holds a session, and no late word of an earlier one disturbs it.
 *
 * All of them reject where the store has not done it by the deadline (milliseconds since 1970). What it has done by then,
 * nobody knows.
 */
export interface Sessions {
  /** A new session, held by this connection. 1 read, 1 write. */
  open(holder: Holder, deadline: number): Promise<{ session: string; token: string; endsAt: number }>;
  /**
   * Takes a session over, with every reply after `after`. Until `caughtUp` says `live`, or the deadline, the consumer posts
   * nothing to the connection. 1 read, 1 for each 100 pages, 1 write.
   */
  resume(holder: Holder, claim: Claim, deadline: number): Promise<Resumption>;
  /** After all up to `seq` was posted. 1 read, and 1 write or 1 read for each 100 pages. */
  caughtUp(session: string, connectionId: string, seq: number, deadline: number): Promise<Progress>;
  /** The client has all up to `seq`. 1 read, 1 write, 1 write for each 25 pages that it frees. */
  received(session: string, connectionId: string, seq: number, deadline: number): Promise<Receipt>;
  /** The connection has ended. Nobody else who holds the session is disturbed. 1 read, 1 write where it held it. */
  detach(session: string, connectionId: string, deadline: number): Promise<void>;
  /** Stores replies in their order, before anybody posts them. 1 read, 1 write for each page, 1 write. */
  append(session: string, replies: readonly NewReply[], deadline: number): Promise<Appending>;
}

export type { StoredReply } from './pages';
export type { Holder, NewReply, Numbered } from './state';

export interface Claim {
  session: string;
  token: string;
  /** The last reply that the client has; 0 for none. */
  after: number;
}

export type Resumption =
  /**
   * `previous`: the connections that held it and do not know that they have lost it; they are to be told before `caughtUp`.
   * `endsAt`: when the session is too old, milliseconds since 1970.
   */
  | { result: 'resumed'; seq: number; endsAt: number; replies: StoredReply[]; previous: readonly string[] }
  | { result: 'refused'; reason: RefusalReason }
  /** A connection has the session that was opened later than the claim's, or this one is replayed to. Nothing changes. */
  | { result: 'superseded' };

export type Progress =
  /** From now on the consumer posts. */
  | { result: 'live' }
  /** These came meanwhile, and are to be posted first. */
  | { result: 'more'; replies: StoredReply[] }
  /** Another connection has the session, or it is over. */
  | { result: 'superseded' }
  /** A reply is missing in the store, and the session has ended. */
  | { result: 'incomplete' };

/** `ahead`: there is no such reply yet. */
export type Receipt = 'noted' | 'ahead' | 'not_holder';

export type Appending =
  /** No such session any more. */
  | { result: 'gone' }
  /** By this append; or before, and the connection that holds it may not know yet. */
  | { result: 'ended'; reason: EndReason; connectionId?: string }
  /**
   * To be posted to `postTo`, several in one frame where `readsBatches`; or by the function that resumes, or by the next that
   * does. `abandoned`: connections to which nobody posts any more, for a function that resumed died in the midst: they must
   * be closed, and detached.
   */
  | {
      result: 'stored';
      postTo?: string;
      readsBatches?: boolean;
      abandoned: readonly string[];
      seqs: readonly Numbered[];
    };

/** What becomes of a session; without `next`, nothing. */
interface Decision<T> {
  next?: SessionState;
  outcome: T;
}

/** @param change the id of the change, for the record. */
type Decide<T> = (state: SessionState | undefined, change: string) => Decision<T> | Promise<Decision<T>>;

class StoreFault extends Error {}

const backOff = { pauseMs: 20, longestPauseMs: 500 };

/** @param clock milliseconds since 1970. @param pause between two tries. */
export function createSessions(
  store: SessionStore,
  clock: () => number = Date.now,
  pause: (ms: number) => Promise<unknown> = sleep,
): Sessions {
  /**
   * Loads, decides and swaps until the swap holds. One without an answer may have been done or not, and may yet be: the
   * record tells by the change's id. So what a decision rests on (its time above all) is the same at each try: two swaps
   * of one version are the same.
   */
  async function swap<T>(session: string, deadline: number, decide: Decide<T>): Promise<T> {
    const change = randomBytes(6).toString('base64url');
    let tried: Decision<T> | undefined;
    let cause: unknown;
    for (let attempt = 0; clock() < deadline; attempt += 1) {
      if (attempt > 0) await pause(Math.max(0, Math.min(fullJitterMs(attempt, backOff), deadline - clock())));
      try {
        const loaded = await inTime(store.load(session), deadline);
        if (tried !== undefined && loaded?.state.changes.includes(change)) return tried.outcome;
        tried = await decide(loaded?.state, change);
        if (tried.next === undefined) return tried.outcome;
        if ((await inTime(store.save(tried.next, loaded?.version ?? 0), deadline)) === 'saved') return tried.outcome;
      } catch (error) {
        // What else fails would fail at each try.
        if (!(error instanceof StoreFault)) throw error;
        cause = error.cause ?? error;
      }
    }
    throw new Error('The session store did not do it in time.', { cause });
  }

  async function inTime<T>(work: Promise<T>, deadline: number): Promise<T> {
    const failed = (cause: unknown) => {
      throw new StoreFault('The session store failed.', { cause });
    };
    const answer = await before(
      Date.now() + deadline - clock(),
      work.then((value) => ({ value }), failed),
    );
    if (answer === undefined) throw new StoreFault('The session store did not answer in time.');
    return answer.value;
  }

  const replyReader = (session: string, deadline: number) =>
    pageReader((ids) => inTime(store.pages(session, ids), deadline));

  return {
    async open(holder, deadline) {
      const now = clock();
      // Nobody else has 128 random bits.
      const session = `session_${randomBytes(16).toString('base64url')}`;
      const token = randomBytes(32).toString('base64url');
      return swap(session, deadline, (_, change) => {
        const next = opened(session, token, holder, now, change);
        return { next, outcome: { session, token, endsAt: endsAt(next) } };
      });
    },

    async resume(holder, { session, token, after }, deadline) {
      const now = clock();
      const repliesAfter = replyReader(session, deadline);
      return swap<Resumption>(session, deadline, async (state, change) => {
        const refused = (reason: RefusalReason) => ({ outcome: { result: 'refused' as const, reason } });
        if (state === undefined || isExpired(state, now) || !mayClaim(state, holder, token)) return refused('unknown');
        const over = overFor(state, now);
        if (over !== undefined) return refused(over);
        if (isHeldByLater(state, holder) || isReplayedTo(state, holder, now)) {
          return { outcome: { result: 'superseded' } };
        }
        if (!(after >= state.receivedSeq && after <= state.lastSeq)) return refused('incomplete');
        const replies = await repliesAfter(state, after);
        if (replies === undefined) return { next: ended(state, 'incomplete', change), ...refused('incomplete') };
        const next = takenOver(state, holder, deadline, change);
        return {
          next,
          outcome: {
            result: 'resumed',
            seq: state.lastSeq,
            endsAt: endsAt(state),
            replies,
            previous: next.unseated,
          },
        };
      });
    },

    async caughtUp(session, connectionId, seq, deadline) {
      const now = clock();
      const repliesAfter = replyReader(session, deadline);
      return swap<Progress>(session, deadline, async (state, change) => {
        if (!isHeldBy(connectionId, state, now)) return { outcome: { result: 'superseded' } };
        if (state.replayUntil === undefined) return { outcome: { result: 'live' } };
        const posted = Math.max(seq, state.receivedSeq);
        if (posted >= state.lastSeq) return { next: caughtUp(state), outcome: { result: 'live' } };
        const replies = await repliesAfter(state, posted);
        if (replies !== undefined) return { outcome: { result: 'more', replies } };
        return { next: ended(state, 'incomplete', change), outcome: { result: 'incomplete' } };
      });
    },

    async received(session, connectionId, seq, deadline) {
      const now = clock();
      let freed: string[] = [];
      const receipt = await swap<Receipt>(session, deadline, (state) => {
        if (!isHeldBy(connectionId, state, now)) return { outcome: 'not_holder' };
        if (!(seq <= state.lastSeq)) return { outcome: 'ahead' };
        if (seq <= state.receivedSeq) return { outcome: 'noted' };
        const next = received(state, seq);
        freed = state.pages.slice(0, state.pages.length - next.pages.length).map(({ id }) => id);
        return { next, outcome: 'noted' };
      });
      // No record lists them any more. They expire if this fails.
      if (receipt === 'noted' && freed.length > 0) {
        await inTime(store.deletePages(session, freed), deadline).catch(() => undefined);
      }
      return receipt;
    },

    async detach(session, connectionId, deadline) {
      const now = clock();
      await swap(session, deadline, (state) => {
        // One whose time is over stays so: replies to it are gone.
        const next = state === undefined || isExpired(state, now) ? undefined : detached(state, connectionId, now);
        return { ...(next === undefined ? {} : { next }), outcome: undefined };
      });
    },

    async append(session, replies, deadline) {
      const now = clock();
      const pagesOf = pageWriter((...page) => inTime(store.putPage(session, ...page), deadline));
      return swap<Appending>(session, deadline, async (state, change) => {
        const gone = { outcome: { result: 'gone' as const } };
        if (state === undefined) return gone;
        const { connectionId, batchesTo, replayUntil } = state;
        const held = connectionId === undefined ? {} : { connectionId };
        if (isExpired(state, now)) return state.ended === undefined ? { next: lapsed(state, change), ...gone } : gone;
        if (state.ended !== undefined) {
          return connectionId === undefined
            ? gone
            : { outcome: { result: 'ended', reason: state.ended, connectionId } };
        }
        const seqs = numbered(state, replies);
        const added = replies.filter((_, index) => seqs[index]?.is === 'new');
        const reason = overFor(state, now) ?? boundPassed(state, added);
        if (reason !== undefined) {
          return { next: ended(state, reason, change), outcome: { result: 'ended', reason, ...held } };
        }

        const pages = await pagesOf(state, added);
        return {
          ...(added.length === 0 ? {} : { next: appended(state, added, pages, change) }),
          outcome: {
            result: 'stored',
            seqs,
            ...(replayUntil === undefined && connectionId !== undefined
              ? { postTo: connectionId, readsBatches: batchesTo === connectionId }
              : {}),
            abandoned: abandoned(state, now),
          },
        };
      });
    },
  };
}

function isHeldBy(connectionId: string, state: SessionState | undefined, now: number): state is SessionState {
  return state?.connectionId === connectionId && state.ended === undefined && !isExpired(state, now);
}
