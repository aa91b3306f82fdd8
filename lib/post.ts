import type { Answer } from './http';
import { isObject, parseJson } from './json';
import { type ManagementClientConfig, managementClient } from './management-client';
import { reasonOf } from './reason';

/**
 * One attempt to post a frame to a client through API Gateway's @connections. It never throws: an outcome says what
 * became of the frame. Retrying is the caller's, which knows the order of replies and the time that is left.
 */

export type PostOutcome =
  | { result: 'delivered' }
  /** 410: the connection has ended. */
  | { result: 'gone' }
  /** 413: above the 128 KB that API Gateway posts. */
  | { result: 'too_large' }
  /** 400: no connection can have this id. */
  | { result: 'bad_id' }
  /** 403 and what else no repetition mends: the function may not post here. */
  | { result: 'forbidden'; reason: string }
  /** 429: too many posts, or a client that reads too slowly. Worth another attempt. */
  | { result: 'throttled'; reason: string }
  /** 5xx, a timeout or no answer at all: worth another attempt, and no client's doing. */
  | { result: 'transient'; reason: string };

export type Post = (connectionId: string, frame: string, options: { timeoutMs: number }) => Promise<PostOutcome>;

/** @param endpoint as `managementClient` has it. */
export function apiGatewayPost(endpoint: string, config?: ManagementClientConfig): Post {
  const { post } = managementClient(endpoint, config);
  return async (connectionId, frame, { timeoutMs }) => {
    try {
      return outcomeOf(await post(connectionId, frame, timeoutMs));
    } catch (error) {
      const isLate = (error as Error).name === 'TimeoutError';
      return { result: 'transient', reason: isLate ? 'no answer in time' : `no answer (${reasonOf(error)})` };
    }
  };
}

/**
 * By status: a 410 has no body, and a proxy's answer has one of its own. And by the head of the answer alone: the frame of a
 * 200 is taken, even if the connection hangs or breaks in the midst of the body.
 */
function outcomeOf(answer: Answer): PostOutcome {
  const { status } = answer;
  if (status >= 200 && status < 300) return { result: 'delivered' };
  if (status === 410) return { result: 'gone' };
  if (status === 413) return { result: 'too_large' };
  if (status === 400) return { result: 'bad_id' };
  if (status === 429) return { result: 'throttled', reason: 'API Gateway answered 429' };
  if (status > 400 && status < 500 && status !== 408) return { result: 'forbidden', reason: wordsOf(answer) };
  return { result: 'transient', reason: `API Gateway answered ${status}` };
}

/** A proxy may answer with a page. */
const longestReason = 500;

/** `ForbiddenException: Forbidden` */
function wordsOf({ status, head, text }: Answer): string {
  const [, name = `API Gateway answered ${status}`] = /\r\nx-amzn-errortype: *([\w.]+)/i.exec(head) ?? [];
  const error = parseJson(text);
  const message = isObject(error) && typeof error.message === 'string' ? error.message : text;
  return `${name}: ${message}`.slice(0, longestReason);
}
