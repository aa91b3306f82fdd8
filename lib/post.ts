import {
  ApiGatewayManagementApiClient,
  type ApiGatewayManagementApiClientConfig,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

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
  | { result: 'forbidden'; error: unknown }
  /** 429, 5xx, a timeout or no answer at all: worth another attempt. */
  | { result: 'transient'; error: unknown };

export type Post = (connectionId: string, frame: string, options: { timeoutMs: number }) => Promise<PostOutcome>;

/** @param endpoint `https://<api>.execute-api.<region>.amazonaws.com/<stage>`: a custom domain answers 403. */
export function apiGatewayPost(endpoint: string, clientConfig: ApiGatewayManagementApiClientConfig = {}): Post {
  const client = new ApiGatewayManagementApiClient({ endpoint, maxAttempts: 1, ...clientConfig });

  return async (connectionId, frame, { timeoutMs }) => {
    try {
      const command = new PostToConnectionCommand({ ConnectionId: connectionId, Data: frame });
      await client.send(command, { abortSignal: AbortSignal.timeout(timeoutMs) });
      return { result: 'delivered' };
    } catch (error) {
      return outcomeOf(error);
    }
  };
}

/** By status, not by name: a 410 without a body reaches the caller as an error called "Unknown". */
function outcomeOf(error: unknown): PostOutcome {
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0;
  if (status === 410) return { result: 'gone' };
  if (status === 413) return { result: 'too_large' };
  if (status === 400) return { result: 'bad_id' };
  if (status > 400 && status < 500 && status !== 408 && status !== 429) return { result: 'forbidden', error };
  return { result: 'transient', error };
}
