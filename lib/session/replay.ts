import { setTimeout as sleep } from 'node:timers/promises';
import { type BackOff, fullJitterMs } from '../backoff';
import { withSeq } from '../frames';
import { pack } from '../packing';
import type { Post } from '../post';
import { reasonsOf } from '../reason';
import { detach, type Held, type HolderPorts, letGo, tellEnd } from './partings';
import type { Resumption, Sessions } from './sessions';

/**
 * Posts what a session has for a connection that has just taken it over, in order, until the consumer may go on from
 * there. A connection that does not get all of it is closed: its client comes again.
 */

export interface ReplayPorts extends HolderPorts {
  sessions: Pick<Sessions, 'caughtUp' | 'detach'>;
  post: Post;
}

export interface Resumed extends Pick<Extract<Resumption, { result: 'resumed' }>, 'seq' | 'replies'> {
  /** Whether the client reads several replies in one frame. */
  readsBatches: boolean;
}

const attemptMs = 2000;
/** A client that takes nothing for so long is let go: a function waits for it all the while. */
const patienceMs = 5000;
const backOff: BackOff = { pauseMs: 100, longestPauseMs: 1000 };

/**
 * Never rejects.
 * @param firstFrame goes before all replies. @param replayDeadline when the replay is given up, @param deadline when all must
 * be over, milliseconds since 1970.
 */
export async function replay(
  held: Held,
  firstFrame: string,
  resumed: Resumed,
  replayDeadline: number,
  deadline: number,
  ports: ReplayPorts,
): Promise<void> {
  try {
    const end = await replayUntilLive(held, firstFrame, resumed, replayDeadline, ports);
    if (end === 'gone') await detach(held, deadline, ports);
    if (end === 'incomplete') await tellEnd({ ...held, reason: end }, deadline, ports);
  } catch (error) {
    await letGo(held, reasonsOf(error), deadline, ports);
  }
}

async function replayUntilLive(
  { session, connectionId }: Held,
  firstFrame: string,
  { readsBatches, ...resumed }: Resumed,
  deadline: number,
  { sessions, post }: ReplayPorts,
): Promise<'live' | 'superseded' | 'incomplete' | 'gone'> {
  let { seq, replies } = resumed;
  if ((await postUntilTaken(connectionId, firstFrame, deadline, post)) === 'gone') return 'gone';
  for (;;) {
    const numbered = replies.map(({ seq, frame }) => ({ seq, frame: withSeq(frame, seq), readsBatches }));
    for (const { frame, items } of pack(numbered)) {
      if ((await postUntilTaken(connectionId, frame, deadline, post)) === 'gone') return 'gone';
      seq = items.at(-1)?.seq ?? seq;
    }
    const progress = await sessions.caughtUp(session, connectionId, seq, deadline);
    if (progress.result !== 'more') return progress.result;
    replies = progress.replies;
  }
}

/** Rejects where API Gateway does not take it by the deadline, or never will. */
async function postUntilTaken(connectionId: string, frame: string, replayDeadline: number, post: Post) {
  const deadline = Math.min(replayDeadline, Date.now() + patienceMs);
  for (let attempt = 0; ; attempt += 1) {
    const timeoutMs = Math.min(attemptMs, deadline - Date.now());
    if (timeoutMs <= 0) throw new Error('the replay was not taken within the time');
    const outcome = await post(connectionId, frame, { timeoutMs });
    switch (outcome.result) {
      case 'delivered':
      case 'gone':
        return outcome.result;
      case 'throttled':
      case 'transient':
        await sleep(Math.max(0, Math.min(fullJitterMs(attempt, backOff), deadline - Date.now())));
        break;
      default:
        throw new Error(`API Gateway does not take a frame of the replay: ${outcome.result}`);
    }
  }
}
