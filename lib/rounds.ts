import { before } from './deadline';
import { type AddressedFrame, isForSession, type Judged, type Judgement } from './judge';
import { type PostLimits, type PostPorts, postAll } from './posting';
import type { Ended, Held } from './session/partings';
import { storeReplies } from './session/replies';
import type { Sessions } from './session/sessions';

/**
 * Takes the replies of a batch to their connections: what is for sessions is stored, and then all is posted in the order
 * of the batch. What the store keeps waiting is posted in a later round: the others need no table, and wait for none.
 */

export interface RoundLimits extends PostLimits {
  /** How long a round waits for what is to be stored, milliseconds. */
  storeMs: number;
  /** Time kept back from storing for the posts of what was stored last, milliseconds; at most a third of all. */
  latePostMs: number;
}

export interface RoundPorts extends PostPorts {
  sessions: Pick<Sessions, 'append'>;
}

export interface Taken {
  /** Of each reply but those that could not be stored. */
  judgements: ReadonlyMap<Judged, Judgement>;
  /** Why the replies to a session could not be stored, by session. */
  unstored: ReadonlyMap<string, unknown>;
  /** Sessions that are over. */
  ended: readonly Ended[];
  /** Connections of sessions that had ended. */
  left: readonly Held[];
  /** Connections that did not get a reply of their session, and why. */
  missed: readonly (Held & { reason: string })[];
}

/** @param deadline when the last post must be over, whole milliseconds since 1970. */
export async function takeToConnections(
  replies: readonly Judged[],
  deadline: number,
  ports: RoundPorts,
  limits: RoundLimits,
): Promise<Taken> {
  const storeDeadline = Math.floor(deadline - Math.min(limits.latePostMs, (deadline - Date.now()) / 3));
  const storing = storeReplies(replies.filter(isForSession), storeDeadline, ports.sessions);
  const judgements = new Map<Judged, Judgement>();
  const posted: [AddressedFrame, Judgement][] = [];

  const postReady = async () => {
    const sources = new Map<AddressedFrame, Judged>();
    for (const reply of replies) {
      if (judgements.has(reply)) continue;
      const ready = isForSession(reply) ? storing.results.get(reply) : reply;
      if (ready === undefined) continue;
      if ('frame' in ready) sources.set(ready, reply);
      else judgements.set(reply, ready);
    }
    for (const [frame, judgement] of await postAll([...sources.keys()], deadline, ports, limits)) {
      posted.push([frame, judgement]);
      judgements.set(sources.get(frame) as Judged, keptBySession(frame, judgement));
    }
  };
  const stored = storing.done.then(() => 'stored' as const);
  let state: 'stored' | undefined;
  while (state === undefined) {
    state = await before(Date.now() + limits.storeMs, stored);
    await postReady();
  }

  const { failures: unstored, ended, abandoned } = storing;
  const { left, missed } = partings(posted);
  for (const held of abandoned) missed.push({ ...held, reason: 'its replay was broken off' });
  return { judgements, unstored, ended, left, missed };
}

/** What a session has stored is no dead letter. */
function keptBySession({ session }: AddressedFrame, judgement: Judgement): Judgement {
  if (session === undefined || judgement.verdict === 'delivered') return judgement;
  return { verdict: 'stored', attempts: judgement.attempts };
}

/** The connections of sessions that did not take a reply; the first that one did not take says why. */
function partings(posted: readonly [AddressedFrame, Judgement][]) {
  const left: Held[] = [];
  const missed: (Held & { reason: string })[] = [];
  const seen = new Set<string>();
  for (const [{ session, connectionId }, { verdict, reason = '' }] of posted) {
    if (session === undefined || verdict === 'delivered' || seen.has(session)) continue;
    seen.add(session);
    if (verdict === 'gone') left.push({ session, connectionId });
    else missed.push({ session, connectionId, reason });
  }
  return { left, missed };
}
