import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Delivery } from './amqp';
import type { Connections } from './connections';
import type { DeadLetters } from './dead-letters';
import { before } from './deadline';
import { GatewayError } from './errors';
import { errorFrame, maxFrameBytes, replyFrame, type ServerFrame } from './frames';
import { isObject } from './json';
import type { Log } from './log';
import { parseReply, type Reply, type ServiceError } from './packets';
import type { Post, PostOutcome } from './post';

/**
 * Takes a batch of replies to their clients and says of each what became of it. In order within a connection, in
 * parallel across connections, within the time given. What cannot be delivered is dead-lettered with its reason, except
 * what was for a client that has left. Rejects only when a dead letter could not be laid down: then the whole batch
 * must come back.
 */

export type Verdict = 'delivered' | 'gone' | 'throttled' | 'too_large' | 'forbidden' | 'malformed';

export interface DeliveryPorts {
  post: Post;
  connections: Connections;
  deadLetters: DeadLetters;
  log: Log;
}

export interface DeliveryLimits {
  /** Posts under way at once. */
  concurrency: number;
  /** The longest that one post may take, milliseconds. */
  attemptMs: number;
  /** Full jitter: the n-th pause is anything up to `pauseMs * 2^n`, and at most `longestPauseMs`. */
  pauseMs: number;
  longestPauseMs: number;
  /** Time kept back from posting for the dead letters, milliseconds; at most a third of all. */
  deadLetterMs: number;
}

export const defaultLimits: DeliveryLimits = {
  concurrency: 50,
  attemptMs: 3000,
  pauseMs: 100,
  longestPauseMs: 5000,
  deadLetterMs: 5000,
};

/** @param deadline when all must be over, milliseconds since 1970. */
export async function deliver(
  deliveries: readonly Delivery[],
  deadline: number,
  ports: DeliveryPorts,
  limits: DeliveryLimits = defaultLimits,
): Promise<Verdict[]> {
  const judged: Judged[] = [];
  const byConnection = new Map<string, Waiting[]>();
  for (const [index, delivery] of deliveries.entries()) {
    const reply = parseReply(delivery);
    if (reply.kind === 'malformed') judged[index] = { verdict: 'malformed', reason: reply.reason };
    else if (reply.kind === 'nothing') judged[index] = { verdict: 'delivered' };
    else {
      const waiting = byConnection.get(reply.connectionId);
      if (waiting === undefined) byConnection.set(reply.connectionId, [{ index, reply }]);
      else waiting.push({ index, reply });
    }
  }

  const now = Date.now();
  const postDeadline = deadline - Math.min(limits.deadLetterMs, (deadline - now) / 3);
  const posting: Posting = { ...ports, limits, postDeadline, slot: pLimit(limits.concurrency) };
  await Promise.all(
    [...byConnection.values()].map(async (waiting) => {
      for await (const [index, result] of postInOrder(waiting, posting)) judged[index] = result;
    }),
  );

  await Promise.all(
    deliveries.map(async (delivery, index) => {
      const { verdict, reason = '' } = judged[index] as Judged;
      if (verdict === 'delivered' || verdict === 'gone') return;
      await ports.deadLetters.add(delivery, verdict, reason, deadline);
      const messageId = delivery.properties.messageId;
      ports.log.warn('Dead-lettered a reply', {
        verdict,
        reason,
        ...(messageId === undefined ? {} : { messageId }),
      });
    }),
  );
  return judged.map(({ verdict }) => verdict);
}

interface Judged {
  verdict: Verdict;
  /** Why it is a dead letter. */
  reason?: string;
}

interface Waiting {
  /** The reply's place in the batch. */
  index: number;
  reply: Reply | ServiceError;
}

interface Posting extends DeliveryPorts {
  limits: DeliveryLimits;
  postDeadline: number;
  slot: LimitFunction;
}

/** The replies of one connection. Once it is gone, or its time is over, that holds for those that wait behind. */
async function* postInOrder(waiting: readonly Waiting[], posting: Posting): AsyncGenerator<[number, Judged]> {
  let ended: Judged | undefined;
  for (const { index, reply } of waiting) {
    const result: Judged = ended ?? (await postOne(reply, posting));
    if (result.verdict === 'gone') ended = result;
    if (result.verdict === 'throttled') ended = { ...result, reason: 'waited behind one that was not taken' };
    yield [index, result];
  }
}

const outOfTime: PostOutcome = { result: 'transient', error: undefined };

async function postOne(reply: Reply | ServiceError, posting: Posting): Promise<Judged> {
  const { post, limits, postDeadline, slot } = posting;
  const { connectionId } = reply;
  const frame = toText(frameOf(reply));
  if (frame === undefined) return { verdict: 'malformed', reason: 'the data is nested too deeply' };
  if (Buffer.byteLength(frame) > maxFrameBytes) {
    return { verdict: 'too_large', reason: `the frame exceeds ${maxFrameBytes} bytes` };
  }
  for (let attempt = 0; ; attempt += 1) {
    if (Date.now() >= postDeadline) {
      return { verdict: 'throttled', reason: `not taken within the time, after ${attempt} attempts` };
    }
    const postedAt = Date.now();
    // A slot is held for the attempt alone: a connection that pauses keeps no other from posting.
    const outcome = await slot(() => {
      const timeoutMs = Math.min(limits.attemptMs, postDeadline - Date.now());
      return timeoutMs > 0 ? post(connectionId, frame, { timeoutMs }) : outOfTime;
    });
    switch (outcome.result) {
      case 'delivered':
        return { verdict: 'delivered' };
      case 'gone':
        await forget(connectionId, postedAt, posting);
        return { verdict: 'gone' };
      case 'too_large':
        return { verdict: 'too_large', reason: 'API Gateway answered 413' };
      case 'bad_id':
        return { verdict: 'malformed', reason: 'no connection can have this id: API Gateway answered 400' };
      case 'forbidden':
        return { verdict: 'forbidden', reason: String(outcome.error) };
      case 'transient': {
        const longest = Math.min(limits.pauseMs * 2 ** attempt, limits.longestPauseMs);
        await sleep(Math.min(randomInt(longest + 1), Math.max(0, postDeadline - Date.now())));
      }
    }
  }
}

/** Removes the row of a connection that has ended. If that fails, or takes too long, the row's lease ends by itself. */
async function forget(connectionId: string, postedAt: number, posting: Posting): Promise<void> {
  const { connections, log, limits, postDeadline } = posting;
  const removing = connections.remove(connectionId, postedAt).catch((error: unknown) => {
    log.warn('Could not remove the row of a connection that has ended', { connectionId, error });
  });
  await before(Math.min(Date.now() + limits.attemptMs, postDeadline), removing);
}

/** Undefined for data that JSON.parse can read and JSON.stringify cannot write: nested beyond the stack. */
function toText(frame: ServerFrame): string | undefined {
  try {
    return JSON.stringify(frame);
  } catch {
    return undefined;
  }
}

function frameOf(reply: Reply | ServiceError): ServerFrame {
  if (reply.kind === 'reply') return replyFrame({ ...reply, id: reply.clientId });
  const { clientId, messageId, data } = reply;
  return {
    ...errorFrame(clientId, new GatewayError('internal', serviceMessage(data))),
    ...(messageId === undefined ? {} : { messageId }),
    data,
  };
}

/** A service's error is meant for its caller, unlike one of the gateway's own. */
function serviceMessage(error: unknown): string {
  const message = isObject(error) ? error.message : error;
  return typeof message === 'string' && message !== '' ? message : 'The service answered with an error.';
}
