import {
  ApiGatewayManagementApiClient,
  type ApiGatewayManagementApiClientConfig,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
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

/** @param endpoint `https://<api>.execute-api.<region>.amazonaws.com/<stage>`: a custom domain answers 403. */
export function apiGatewayPost(endpoint: string, clientConfig: ApiGatewayManagementApiClientConfig = {}): Post {
  const client = new ApiGatewayManagementApiClient({ endpoint, maxAttempts: 1, ...clientConfig });

  return async (connectionId, frame, { timeoutMs }) => {
    const command = new PostToConnectionCommand({ ConnectionId: connectionId, Data: frame });
    let status = 0;
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        status = (result.response as { statusCode: number }).statusCode;
        return result;
      },
      { step: 'deserialize', priority: 'low' },
    );
    try {
      await client.send(command, { abortSignal: AbortSignal.timeout(timeoutMs) });
      return { result: 'delivered' };
    } catch (error) {
      return outcomeOf(status, error);
    }
  };
}

/** A proxy may answer with a page. */
const longestReason = 500;

/**
 * By status, not by the error's name: a 410 without a body reaches the caller as one called "Unknown". And by the head of
 * the answer alone: the frame of a 200 is taken, even if the connection hangs or breaks in the midst of the body.
 */
function outcomeOf(status: number, error: unknown): PostOutcome {
  if (status >= 200 && status < 300) return { result: 'delivered' };
  if (status === 410) return { result: 'gone' };
  if (status === 413) return { result: 'too_large' };
  if (status === 400) return { result: 'bad_id' };
  if (status > 400 && status < 500 && status !== 408 && status !== 429) {
    return { result: 'forbidden', reason: String(error).slice(0, longestReason) };
  }
  if (status === 429) return { result: 'throttled', reason: 'API Gateway answered 429' };
  return { result: 'transient', reason: status === 0 ? noAnswer(error) : `API Gateway answered ${status}` };
}

function noAnswer(error: unknown): string {
  return (error as Error).name === 'AbortError' ? 'no answer in time' : `no answer (${reasonOf(error)})`;
}
