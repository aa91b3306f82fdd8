import { setTimeout as sleep } from 'node:timers/promises';
import { type BackOff, fullJitterMs } from './backoff';
import type { AddressedFrame, Judgement } from './judge';
import type { Post } from './post';
import type { Recent } from './recent';
import { type InSlot, slots } from './slots';

/**
 * Posts the frames of a batch: in order within a connection, in parallel across connections, each frame until it is
 * answered or given up. A batch goes on as long as it makes progress. Once API Gateway has answered nothing for the time
 * of two attempts, what is still retried is given up: a queue has one invocation at a time, and everybody's next replies
 * wait for its end. In an outage, where several connections are left and nothing of the batch could be delivered, nobody
 * would be served sooner, and the whole time is used.
 */

export interface PostLimits extends BackOff {
  /** Posts under way at once; no more than the sockets of the SDK's client, which are 50. */
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
  onGone(connectionId: string, postedAt: number): void;
}

/** What the connections of a batch have in common. */
interface Batch extends PostPorts {
  limits: PostLimits;
  deadline: number;
  inSlot: InSlot;
  judgements: Map<AddressedFrame, Judgement>;
  connectionsLeft: number;
  anyDelivered: boolean;
  lastAnswerAt: number;
}

/** @param deadline when the last post must be over, whole milliseconds since 1970. */
export async function postAll(
  frames: readonly AddressedFrame[],
  deadline: number,
  ports: PostPorts,
  limits: PostLimits,
): Promise<Map<AddressedFrame, Judgement>> {
  const lines = byConnection(frames);
  const batch: Batch = {
    ...ports,
    limits,
    deadline,
    inSlot: slots(limits.concurrency),
    judgements: new Map(),
    connectionsLeft: lines.length,
    anyDelivered: false,
    lastAnswerAt: Date.now(),
  };
  await Promise.all(lines.map((line) => postLine(line, batch)));
  return batch.judgements;
}

function byConnection(frames: readonly AddressedFrame[]): AddressedFrame[][] {
  const lines = new Map<string, AddressedFrame[]>();
  for (const frame of frames) {
    const line = lines.get(frame.connectionId);
    if (line === undefined) lines.set(frame.connectionId, [frame]);
    else line.push(frame);
  }
  return [...lines.values()];
}

/** The frames of one connection. Once it is gone, or one is given up, that holds for those that wait behind. */
async function postLine(line: readonly AddressedFrame[], batch: Batch): Promise<void> {
  let ended: Judgement | undefined;
  for (const frame of line) {
    const judgement = ended ?? (await postUnlessCopy(frame, batch));
    batch.judgements.set(frame, judgement);
    if (judgement.verdict === 'gone') ended = { verdict: 'gone', attempts: 0 };
    if (judgement.verdict === 'throttled') {
      ended = { verdict: 'throttled', reason: 'waited behind one that was not taken', attempts: 0 };
    }
  }
  batch.connectionsLeft -= 1;
}

async function postUnlessCopy(frame: AddressedFrame, batch: Batch): Promise<Judgement> {
  const { connectionId, messageId } = frame;
  if (batch.recent.has(connectionId, messageId)) return { verdict: 'delivered', attempts: 0, duplicate: true };
  const judgement = await postUntilAnswered(frame, batch);
  if (judgement.verdict === 'delivered') batch.recent.add(connectionId, messageId);
  return judgement;
}

async function postUntilAnswered({ connectionId, frame }: AddressedFrame, batch: Batch): Promise<Judgement> {
  const { post, inSlot, limits, onGone } = batch;
  let lastFailure = '';
  for (let attempts = 0; ; attempts += 1) {
    const postedAt = Date.now();
    // A slot is held for the attempt alone: a connection that pauses keeps no other from posting.
    const outcome = await inSlot(attempts === 0 ? 'first' : 'again', async () => {
      // Whose turn comes for the first time is not to blame that the others hang.
      const leftMs = (attempts === 0 ? batch.deadline : givesUpAt(batch)) - Date.now();
      return leftMs > 0 ? post(connectionId, frame, { timeoutMs: Math.min(limits.attemptMs, leftMs) }) : undefined;
    });
    if (outcome === undefined) {
      const reason = `not taken within the time, after ${attempts} attempts${lastFailure}`;
      return { verdict: 'throttled', reason, attempts };
    }
    if (outcome.result !== 'transient') {
      batch.lastAnswerAt = Date.now();
      batch.anyDelivered ||= outcome.result === 'delivered';
    }
    switch (outcome.result) {
      case 'delivered':
        return { verdict: 'delivered', attempts: attempts + 1 };
      case 'gone':
        onGone(connectionId, postedAt);
        return { verdict: 'gone', attempts: attempts + 1 };
      case 'too_large':
        return { verdict: 'too_large', reason: 'API Gateway answered 413', attempts: attempts + 1 };
      case 'bad_id': {
        const reason = 'no connection can have this id: API Gateway answered 400';
        return { verdict: 'malformed', reason, attempts: attempts + 1 };
      }
      case 'forbidden':
        return { verdict: 'forbidden', reason: outcome.reason, attempts: attempts + 1 };
      case 'transient':
        lastFailure = `: ${outcome.reason}`;
        await sleep(Math.max(0, Math.min(fullJitterMs(attempts, limits), givesUpAt(batch) - Date.now())));
    }
  }
}

/** When a frame that was not taken at first is no longer tried again; progress puts it off. */
function givesUpAt({ anyDelivered, connectionsLeft, lastAnswerAt, limits, deadline }: Batch): number {
  const outage = !anyDelivered && connectionsLeft > 1;
  return outage ? deadline : Math.min(deadline, lastAnswerAt + 2 * limits.attemptMs);
}
