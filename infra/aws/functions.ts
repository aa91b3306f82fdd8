import type { Auth, Parameters } from '../parameters';
import { brokerSecretArn, brokerUrl } from './broker';
import { ref, roleId, sub, type Value } from './intrinsics';
import { type VpcConfig, vpcConfig } from './network';

/**
 * What depends on the deployment in each function of serverless.yml: its environment, role, network and concurrency.
 * README.md says what the variables are.
 */

export interface FunctionSettings {
  role: string;
  environment: Record<string, Value>;
  vpc?: VpcConfig;
  reservedConcurrency?: number;
  /** Resources that must be there before its code, or its environment, changes. */
  dependsOn?: string[];
}

/** The functions of this deployment by their keys in serverless.yml; one that is not here is not deployed. */
export function functionSettings(parameters: Parameters): Record<string, FunctionSettings> {
  const { apiQueue, wsQueue, requestStyle, replyShards, stage, auth, allowedOrigins } = parameters;
  const { sendConcurrency, exampleWorker } = parameters;
  const vpc = vpcConfig(parameters);
  const inNetwork = vpc === undefined ? {} : { vpc };
  const reserve = (reservedConcurrency: number) => (sendConcurrency === undefined ? {} : { reservedConcurrency });
  const connections = { TABLE_NAME: ref('ConnectionTable') };
  const tables = { ...connections, SESSION_TABLE_NAME: ref('SessionTable') };
  const broker = { AMQP_URL: brokerUrl(parameters), AMQP_SECRET_ARN: brokerSecretArn(parameters) };
  const queues = { API_QUEUE: apiQueue, WS_QUEUE: wsQueue, REPLY_SHARDS: String(replyShards) };
  // Not the event's domain name: behind a custom domain, posts to it answer 403.
  const endpoint = `https://\${WebsocketsApi}.execute-api.\${AWS::Region}.\${AWS::URLSuffix}/${stage}`;
  const management = { MANAGEMENT_ENDPOINT: sub(endpoint) };

  const settings: Record<string, Omit<FunctionSettings, 'role'>> = {
    connect: { environment: connections },
    disconnect: { environment: tables },
    default: { environment: {} },
    send: {
      environment: {
        ...tables,
        ...broker,
        ...queues,
        REQUEST_STYLE: requestStyle,
        AUTH: auth.mode,
        ...(auth.mode === 'jwt' ? management : {}),
      },
      // It must not name a reply queue that is not declared yet: what services answer there would be lost.
      dependsOn: ['Topology'],
      ...inNetwork,
      ...reserve(sendConcurrency ?? 0),
    },
    // Outside the network: what it reaches is public, and the broker is not among it.
    session: {
      environment: { ...tables, ...management, AUTH: auth.mode },
      // A version of these that knows of no sessions would take the name of one for a connection.
      dependsOn: ['SendLambdaFunction', 'ConsumerLambdaFunction'],
    },
    consumer: {
      environment: { ...tables, ...broker, WS_QUEUE: wsQueue, ...management },
      ...inNetwork,
      // A mapping makes one call at a time. Kept apart from what strangers can call by connecting.
      ...reserve(replyShards),
    },
    ...(exampleWorker ? { worker: { environment: broker, ...inNetwork } } : {}),
    topology: { environment: { ...broker, ...queues }, ...inNetwork },
    ...(isAuthorized(parameters)
      ? { authorizer: { environment: { ...authEnvironment(auth), ALLOWED_ORIGINS: allowedOrigins.join(',') } } }
      : {}),
  };
  return Object.fromEntries(Object.entries(settings).map(([key, setting]) => [key, { role: roleId(key), ...setting }]));
}

/** Whether anything is asked of a client that connects. */
export function isAuthorized({ auth, allowedOrigins }: Parameters): boolean {
  return auth.mode === 'jwt' || allowedOrigins.length > 0;
}

function authEnvironment(auth: Auth): Record<string, string> {
  if (auth.mode === 'none') return { AUTH: 'none' };
  const { issuer, audience, clockSkewSeconds, keys } = auth;
  return {
    AUTH: 'jwt',
    JWT_ISSUER: issuer,
    JWT_AUDIENCE: audience,
    JWT_CLOCK_SKEW_SECONDS: String(clockSkewSeconds),
    ...('jwksUrl' in keys ? { JWT_JWKS_URL: keys.jwksUrl } : {}),
    ...('secretArn' in keys ? { JWT_SECRET_ARN: keys.secretArn } : {}),
    ...('secret' in keys ? { JWT_SECRET: keys.secret } : {}),
  };
}
