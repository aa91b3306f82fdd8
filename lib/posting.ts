import { setTimeout as sleep } from 'node:timers/promises';
import { type BackOff, fullJitterMs } from './backoff';
import type { AddressedFrame, Judgement } from './judge';
import { linesOf } from './lines';
import { pack } from './packing';
import type { Post } from './post';
import type { Recent } from './recent';
import { type InSlot, slots } from './slots';

/**
 * Posts the frames of a batch: in order within a connection, in parallel across connections, each frame until it is
 * answered or given up. A batch goes on as long as it makes progress. Once API Gateway has answered nothing for the time
 * of two attempts, what is still retried is given up: a queue has one invocation at a time, and everybody's next replies
 * wait for its end. A connection for which that happened lately has one attempt, until it takes one. In an outage, where
 * several connections are left and API Gateway serves none, nobody would be served sooner, and the whole time is used.
 */

export interface PostLimits extends BackOff {
  /** Posts under way at once, each on a connection of its own. */
  concurrency: number;
  /** The longest that one post may take, milliseconds. One that hung is so tried again before it is given up. */
  attemptMs: number;
  /** Below the time of two attempts: who pauses when an outage ends must still have its turn. */
  longestPauseMs: number;
}

export interface PostPorts {
  post: Post;
  recent: Recent;
  /** API Gateway has answered to a post begun at `postedAt`, milliseconds since 1970, that the connection has ended. */
  onGone(frame: AddressedFrame, postedAt: number): void;
}

/** What the connections of a batch have in common. */
interface Batch extends PostPorts {
  limits: PostLimits;
  deadline: number;
  inSlot: InSlot;
  judgements: Map<AddressedFrame, Judgement>;
  connectionsLeft: number;
  /** Whether API Gateway has shown that it serves: a throttled client may be at fault itself. */
  serves: boolean;
  lastAnswerAt: number;
}

/** @param deadline when the last post must be over, whole milliseconds since 1970. */
export async function postAll(
  frames: readonly AddressedFrame[],
  deadline: number,
  ports: PostPorts,
  limits: PostLimits,
): Promise<Map<AddressedFrame, Judgement>> {
  const lines = [...linesOf(frames, ({ connectionId }) => connectionId).values()];
  const batch: Batch = {
    ...ports,
    limits,
    deadline,
    inSlot: slots(limits.concurrency),
    judgements: new Map(),
    connectionsLeft: lines.length,
    serves: false,
    lastAnswerAt: Date.now(),
  };
  await Promise.all(lines.map((line) => postLine(line, batch)));
  return batch.judgements;
}

/**
 * The frames of one connection. Once it is gone, or one is given up, that holds for those that wait behind. One of a session
 * is given up whatever keeps it: those behind it would come before their turn.
 */
async function postLine(line: readonly AddressedFrame[], batch: Batch): Promise<void> {
  let ended: Judgement | undefined;
  for (const { frame, items } of pack(line)) {
    const [first, ...others] = items;
    const judgement = ended ?? (await postUnlessCopy({ ...first, frame }, batch));
    batch.judgements.set(first, judgement);
    // A post that was repeated is one retry, of the first of them.
    for (const other of others) {
      batch.judgements.set(other, { ...judgement, attempts: Math.min(judgement.attempts, 1) });
    }
    if (judgement.verdict === 'delivered') continue;
    if (judgement.verdict === 'gone') ended = { verdict: 'gone', attempts: 0 };
    else if (judgement.verdict === 'throttled' || first.session !== undefined) {
      ended = { verdict: 'throttled', reason: 'waited behind one that was not taken', attempts: 0 };
    }
  }
  batch.connectionsLeft -= 1;
}

async function postUnlessCopy(frame: AddressedFrame, batch: Batch): Promise<Judgement> {
  const { recent } = batch;
  if (recent.isCopy(frame)) return { verdict: 'delivered', attempts: 0, duplicate: true };
  const judgement = await postUntilAnswered(frame, batch);
  if (judgement.verdict === 'delivered') recent.delivered(frame);
  if (judgement.verdict === 'throttled') recent.gaveUp(frame.connectionId);
  return judgement;
}

async function postUntilAnswered(addressed: AddressedFrame, batch: Batch): Promise<Judgement> {
  const { connectionId, frame } = addressed;
  const { post, inSlot, limits, onGone } = batch;
  let lastFailure = '';
  let stuck = batch.recent.isStuck(connectionId);
  for (let attempts = 0; ; attempts += 1) {
    const postedAt = Date.now();
    // A slot is held for the attempt alone: a connection that pauses keeps no other from posting.
    const outcome = await inSlot(attempts === 0 ? 'first' : 'again', async () => {
      // Whose turn comes for the first time is not to blame that the others hang.
      const leftMs = (attempts === 0 ? batch.deadline : stuck ? 0 : givesUpAt(batch)) - Date.now();
      return leftMs > 0 ? post(connectionId, frame, { timeoutMs: Math.min(limits.attemptMs, leftMs) }) : undefined;
    });
    if (outcome === undefined) {
      const reason = `not taken within the time, after ${attempts} attempts${lastFailure}`;
      return { verdict: 'throttled', reason, attempts };
    }
    batch.serves ||= outcome.result === 'delivered' || outcome.result === 'throttled';
    if (outcome.result !== 'transient' && outcome.result !== 'throttled') batch.lastAnswerAt = Date.now();
    switch (outcome.result) {
      case 'delivered':
        return { verdict: 'delivered', attempts: attempts + 1, deliveredAt: Date.now() };
      case 'gone':
        onGone(addressed, postedAt);
        return { verdict: 'gone', attempts: attempts + 1 };
      case 'too_large':
        return { verdict: 'too_large', reason: 'API Gateway answered 413', attempts: attempts + 1 };
      case 'bad_id': {
        const reason = 'no connection can have this id: API Gateway answered 400';
        return { verdict: 'malformed', reason, attempts: attempts + 1 };
      }
      case 'forbidden':
        return { verdict: 'forbidden', reason: outcome.reason, attempts: attempts + 1 };
      case 'throttled':
      case 'transient':
        lastFailure = `: ${outcome.reason}`;
        // Then it is not to blame, and has its chance at the end of the outage.
        if (isOutage(batch)) stuck = false;
        if (!stuck) await sleep(Math.max(0, Math.min(fullJitterMs(attempts, limits), givesUpAt(batch) - Date.now())));
    }
  }
}

/** When a frame that was not taken at first is no longer tried again; progress puts it off. */
function givesUpAt(batch: Batch): number {
  const { lastAnswerAt, limits, deadline } = batch;
  return isOutage(batch) ? deadline : Math.min(deadline, lastAnswerAt + 2 * limits.attemptMs);
}

function isOutage({ serves, connectionsLeft }: Batch): boolean {
  return !serves && connectionsLeft > 1;
}
