import { withSeq } from '../frames';
import type { AddressedFrame, Judgement, SessionReply } from '../judge';
import { linesOf } from '../lines';
import type { Ended, Held } from './partings';
import type { Appending, Sessions } from './sessions';

/**
 * Stores the replies of a batch to sessions, before any is posted: what a connection does not take is there for the next
 * one. Those to one session are one append, in their order; all sessions are at it at once, for one that the store keeps
 * waiting takes no other's turn. The SDK's client has 50 sockets, and a batch no more than 100 replies.
 */

export interface Storing {
  /** What is known so far: a frame for the connection that holds the session, or a judgement where there is none to post. */
  results: ReadonlyMap<SessionReply, AddressedFrame | Judgement>;
  /** Why the replies to a session could not be stored, by session. */
  failures: ReadonlyMap<string, unknown>;
  ended: readonly Ended[];
  /** Connections whose replay was broken off. */
  abandoned: readonly Held[];
  /** When every session has answered or failed, at the deadline at the latest; never rejects. */
  done: Promise<void>;
}

/** @param deadline when the store must have answered, milliseconds since 1970. */
export function storeReplies(
  replies: readonly SessionReply[],
  deadline: number,
  sessions: Pick<Sessions, 'append'>,
): Storing {
  const results = new Map<SessionReply, AddressedFrame | Judgement>();
  const failures = new Map<string, unknown>();
  const ended: Ended[] = [];
  const abandoned: Held[] = [];
  const store = async (session: string, line: readonly SessionReply[]) => {
    try {
      const appended = await sessions.append(session, line, deadline);
      for (const [index, reply] of line.entries()) results.set(reply, resultOf(reply, index, appended));
      if (appended.result === 'ended') {
        const { result: _, ...end } = appended;
        ended.push({ session, ...end });
      }
      if (appended.result === 'stored') {
        abandoned.push(...appended.abandoned.map((connectionId) => ({ session, connectionId })));
      }
    } catch (error) {
      failures.set(session, error);
    }
  };
  const lines = [...linesOf(replies, ({ session }) => session)];
  const all = lines.map(([session, line]) => store(session, line));
  return { results, failures, ended, abandoned, done: Promise.all(all).then(() => undefined) };
}

function resultOf(reply: SessionReply, index: number, appended: Appending): AddressedFrame | Judgement {
  if (appended.result !== 'stored') return { verdict: 'gone', attempts: 0 };
  const { postTo, readsBatches = false, seqs } = appended;
  const { seq, is } = seqs[index] as (typeof seqs)[number];
  if (is === 'received') return { verdict: 'delivered', attempts: 0, duplicate: true };
  if (postTo === undefined) return { verdict: 'stored', attempts: 0 };
  // A copy too: whoever stored the first may not have come to post it.
  const { session, frame, trail } = reply;
  return { connectionId: postTo, session, frame: withSeq(frame, seq), readsBatches, trail };
}
