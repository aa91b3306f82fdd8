import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import { type AwsCredentials, credentialsFromEnv, regionFromEnv } from './aws-env';
import { type Answer, httpClient } from './http';
import { signerFor } from './sign';

/**
 * Calls of @connections, each tried once and within a given time. The AWS SDK's client writes the requests, and no more: all
 * else that it does for each takes three times as long. They are signed, with one signer, and sent here, and what counts of
 * an answer is its head.
 */

export interface ManagementClient {
  /** Both reject where no head of an answer came in time. */
  post(connectionId: string, frame: string, timeoutMs: number): Promise<Answer>;
  disconnect(connectionId: string, timeoutMs: number): Promise<Answer>;
}

export interface ManagementClientConfig {
  /** Else AWS_REGION. */
  region?: string;
  /** Else those of the environment. */
  credentials?: AwsCredentials;
}

/** @param endpoint `https://<api>.execute-api.<region>.amazonaws.com/<stage>`: a custom domain answers 403. */
export function managementClient(endpoint: string, config: ManagementClientConfig = {}): ManagementClient {
  const { region = regionFromEnv(), credentials = credentialsFromEnv() } = config;
  const url = new URL(endpoint);
  const write = writer(url, region);
  const sign = signerFor({ service: 'execute-api', region, credentials });
  const send = httpClient(url);
  const call = async (command: Command, timeoutMs: number) => {
    const { method, path, headers, body = '' } = await write(command);
    const signed = sign({ method, path, headers: { ...headers, host: url.host }, body });
    return send({ method, path, headers: signed, body }, { headMs: timeoutMs });
  };
  // The first takes longer than fifty others: here it is over with while the function starts, when it has more CPU.
  // Where the SDK is not what it was, the function does not start, and replies stay in their queue.
  void write(new PostToConnectionCommand({ ConnectionId: 'nobody', Data: '' }));
  return {
    post: (ConnectionId, Data, timeoutMs) => call(new PostToConnectionCommand({ ConnectionId, Data }), timeoutMs),
    disconnect: (ConnectionId, timeoutMs) => call(new DeleteConnectionCommand({ ConnectionId }), timeoutMs),
  };
}

type Command = PostToConnectionCommand | DeleteConnectionCommand;

interface Written {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** The SDK's client, with a stack that ends where the request is written. */
function writer(url: URL, region: string): (command: Command) => Promise<Written> {
  const client = new ApiGatewayManagementApiClient({
    region,
    endpoint: url.href,
    // The stack is put together once. Options of a call, such as a signal, would switch that off.
    cacheMiddleware: true,
    // Where it is, needs no rules.
    endpointProvider: () => ({ url }),
    // It would look for it in files.
    defaultsMode: 'legacy',
  });
  for (const name of leftOut) {
    if (!client.middlewareStack.remove(name)) throw new Error(`The AWS SDK has no ${name} any more.`);
  }
  client.middlewareStack.add(
    () =>
      async ({ request }) => ({ response: undefined, output: { $metadata: {}, written: request } }),
    { step: 'finalizeRequest' },
  );
  const settings = client.config as unknown as Record<string, unknown>;
  for (const name of Object.keys(settings)) if (!read.has(name)) delete settings[name];
  return async (command) => {
    const output: unknown = await client.send(command as PostToConnectionCommand);
    return (output as { written: Written }).written;
  };
}

/** Of the stack there remains what finds the endpoint and what writes. */
const leftOut = [
  'loggerMiddleware',
  'httpAuthSchemeMiddleware',
  'contentLengthMiddleware',
  'getUserAgentMiddleware',
  'hostHeaderMiddleware',
  'recursionDetectionMiddleware',
  'retryMiddleware',
  'httpSigningMiddleware',
];

/** Of the configuration what these read: all that there is, they copy twice for each request. */
const read = new Set(['cacheMiddleware', 'protocol', 'endpointProvider', 'isCustomEndpoint']);
