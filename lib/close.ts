import {
  ApiGatewayManagementApiClient,
  type ApiGatewayManagementApiClientConfig,
  DeleteConnectionCommand,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

/**
 * Ends a connection through API Gateway's @connections, after a last frame, if there is one. It never throws; whether or
 * not that frame was taken, the connection is closed.
 */
export type Close = (
  connectionId: string,
  lastFrame: string | undefined,
  deadline: number,
) => Promise<'closed' | 'failed'>;

/** For the frame, and again for the closing. */
const callMs = 1500;

/** @param endpoint `https://<api>.execute-api.<region>.amazonaws.com/<stage>`: a custom domain answers 403. */
export function apiGatewayClose(endpoint: string, clientConfig: ApiGatewayManagementApiClientConfig = {}): Close {
  const client = new ApiGatewayManagementApiClient({ endpoint, maxAttempts: 2, ...clientConfig });

  return async (connectionId, lastFrame, deadline) => {
    const inTime = () => ({ abortSignal: AbortSignal.timeout(Math.max(0, Math.min(callMs, deadline - Date.now()))) });
    if (lastFrame !== undefined) {
      const post = new PostToConnectionCommand({ ConnectionId: connectionId, Data: lastFrame });
      await client.send(post, inTime()).catch(() => undefined);
    }
    try {
      await client.send(new DeleteConnectionCommand({ ConnectionId: connectionId }), inTime());
      return 'closed';
    } catch (error) {
      const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
      return $metadata?.httpStatusCode === 410 ? 'closed' : 'failed';
    }
  };
}
