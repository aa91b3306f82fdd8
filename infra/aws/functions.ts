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
}

/** The functions of this deployment by their keys in serverless.yml; one that is not here is not deployed. */
export function functionSettings(parameters: Parameters): Record<string, FunctionSettings> {
  const { apiQueue, wsQueue, requestStyle, replyShards, stage, auth, allowedOrigins } = parameters;
  const { sendConcurrency, exampleWorker } = parameters;
  const vpc = vpcConfig(parameters);
  const inNetwork = vpc === undefined ? {} : { vpc };
  const concurrency = sendConcurrency === undefined ? {} : { reservedConcurrency: sendConcurrency };
  const table = { TABLE_NAME: ref('ConnectionTable') };
  const broker = { AMQP_URL: brokerUrl(parameters), AMQP_SECRET_ARN: brokerSecretArn(parameters) };
  const queues = { API_QUEUE: apiQueue, WS_QUEUE: wsQueue, REPLY_SHARDS: String(replyShards) };
  // Not the event's domain name: behind a custom domain, posts to it answer 403.
  const endpoint = `https://\${WebsocketsApi}.execute-api.\${AWS::Region}.\${AWS::URLSuffix}/${stage}`;
  const management = { MANAGEMENT_ENDPOINT: sub(endpoint) };

  const settings: Record<string, Omit<FunctionSettings, 'role'>> = {
    connect: { environment: table },
    disconnect: { environment: table },
    default: { environment: {} },
    send: {
      environment: {
        ...broker,
        ...queues,
        REQUEST_STYLE: requestStyle,
        AUTH: auth.mode,
        ...(auth.mode === 'jwt' ? management : {}),
      },
      ...inNetwork,
      ...concurrency,
    },
    consumer: { environment: { ...table, ...broker, ...queues, ...management }, ...inNetwork },
    ...(exampleWorker ? { worker: { environment: broker, ...inNetwork } } : {}),
    topology: { environment: { ...broker, ...queues }, ...inNetwork },
    ...(isAuthorized(parameters)
      ? { authorizer: { environment: { ...authEnvironment(auth), ALLOWED_ORIGINS: allowedOrigins } } }
      : {}),
  };
  return Object.fromEntries(Object.entries(settings).map(([key, setting]) => [key, { role: roleId(key), ...setting }]));
}

/** Whether anything is asked of a client that connects. */
export function isAuthorized({ auth, allowedOrigins }: Parameters): boolean {
  return auth.mode === 'jwt' || allowedOrigins !== '';
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
