import * as v from 'valibot';
import { areDifferentQueues, mostReplyShards } from '../infra/topology';

/**
 * The configuration, from environment variables, validated when a function starts. A function reads only the part it
 * needs, so that `connect` runs without knowing of a broker. README.md has the table of all variables.
 */

const queueName = v.pipe(v.string(), v.regex(/^(?!amq\.)[\x21-\x7e]{1,240}$/));
const tableName = v.pipe(v.string(), v.regex(/^[\w.-]{3,255}$/));
const httpUrl = v.pipe(v.string(), v.url(), v.regex(/^https?:/));
const amqpUrl = v.pipe(
  v.string(),
  v.check((text) => URL.canParse(text) && /^amqps?:$/.test(new URL(text).protocol) && new URL(text).hostname !== ''),
  v.check(isPercentEncoded),
);

/** Keys that come over the network unprotected may be anybody's; on this machine nobody is between. */
const jwksUrl = v.pipe(
  httpUrl,
  v.check((text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, hostname } = new URL(text);
    // fetch() takes no URL with credentials.
    if (hasCredentials(text)) return false;
    return protocol === 'https:' || ['localhost', '127.0.0.1', '[::1]'].includes(hostname);
  }),
);
const secretArn = v.pipe(v.string(), v.regex(/^arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:\S+$/));

/** As browsers send it in `Origin`; that of an extension or an app has a scheme of its own. */
const origin = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9+.-]*:\/\/[^/?#*\s]+$/),
  v.check((text) => !/^https?:/.test(text) || (URL.canParse(text) && new URL(text).origin === text)),
);

const port = (usual: string) =>
  v.pipe(
    v.optional(v.string(), usual),
    v.check((text) => /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535),
    v.transform(Number),
  );
const portNumber = 'the number of a port, 1 to 65535';

/** At most what API Gateway has: with more, a client would meet its first cut in production. */
const seconds = (most: number) =>
  v.pipe(
    v.optional(v.string(), String(most)),
    v.check((text) => /^[1-9]\d{0,3}$/.test(text) && Number(text) <= most),
    v.transform(Number),
  );

/** Each variable: its schema, and what to say where it is not so. */
export const variables = {
  AMQP_URL: {
    schema: amqpUrl,
    looksLike: 'amqps://user:password@host:5671, with a virtual host after the port if it is not /',
  },
  AMQP_SECRET_ARN: {
    schema: v.optional(secretArn),
    looksLike: 'the ARN of a secret with the username and password of the broker, or empty',
  },
  API_QUEUE: {
    schema: v.optional(queueName, 'api_queue'),
    looksLike: 'the name of a queue, such as api_queue',
  },
  WS_QUEUE: { schema: v.optional(queueName, 'ws_queue'), looksLike: 'the name of a queue, such as ws_queue' },
  REPLY_SHARDS: {
    schema: v.pipe(
      v.optional(v.string(), '1'),
      v.check((text) => /^[1-9]\d?$/.test(text) && Number(text) <= mostReplyShards),
      v.transform(Number),
    ),
    looksLike: `the number of queues for replies, 1 to ${mostReplyShards}`,
  },
  REQUEST_STYLE: { schema: v.optional(v.picklist(['event', 'rpc']), 'event'), looksLike: 'event or rpc' },
  TABLE_NAME: { schema: tableName, looksLike: 'the name of a DynamoDB table' },
  SESSION_TABLE_NAME: { schema: tableName, looksLike: 'the name of a DynamoDB table' },
  MANAGEMENT_ENDPOINT: {
    schema: httpUrl,
    looksLike: 'https://<api>.execute-api.<region>.amazonaws.com/<stage>',
  },
  AUTH: { schema: v.optional(v.picklist(['none', 'jwt']), 'none'), looksLike: 'none or jwt' },
  JWT_ISSUER: { schema: v.string(), looksLike: 'the iss of tokens, such as https://issuer.example/' },
  JWT_AUDIENCE: { schema: v.string(), looksLike: 'the aud of tokens that are meant for this gateway' },
  JWT_JWKS_URL: { schema: v.optional(jwksUrl), looksLike: 'https://issuer.example/.well-known/jwks.json' },
  JWT_SECRET_ARN: {
    schema: v.optional(secretArn),
    looksLike: 'the ARN of a secret whose text is the key that signs tokens',
  },
  JWT_SECRET: {
    schema: v.optional(
      v.pipe(
        v.string(),
        v.check((text) => Buffer.byteLength(text) >= 32),
      ),
    ),
    looksLike: 'the key that signs tokens, at least 32 bytes',
  },
  JWT_CLOCK_SKEW_SECONDS: {
    schema: v.pipe(v.optional(v.string(), '30'), v.regex(/^\d{1,3}$/), v.transform(Number), v.maxValue(300)),
    looksLike: 'a number of seconds, 0 to 300',
  },
  ALLOWED_ORIGINS: {
    schema: v.pipe(
      v.optional(v.string(), ''),
      // Who lists none of them means to list some, and an empty list lets in all.
      v.check((text) => text === '' || /[^,\s]/.test(text)),
      v.transform((text) => text.split(',').flatMap((item) => item.trim() || [])),
      v.array(origin),
    ),
    looksLike: 'origins such as https://app.example,http://localhost:8080, without a path, or empty for any',
  },
  METRICS_NAMESPACE: {
    schema: v.optional(v.pipe(v.string(), v.regex(/^(?!AWS\/)[\w.\-/#:]{1,255}$/))),
    looksLike: 'the namespace of the metrics in CloudWatch, such as ws-gateway-dev, or empty',
  },
  // Of the local stack alone.
  WEBSOCKET_PORT: { schema: port('3001'), looksLike: portNumber },
  LAMBDA_PORT: { schema: port('3002'), looksLike: portNumber },
  BROKER_PORT: { schema: port('5672'), looksLike: portNumber },
  PAGE_PORT: { schema: port('3000'), looksLike: portNumber },
  CONNECTION_SECONDS: { schema: seconds(7200), looksLike: 'a number of seconds, 1 to 7200' },
  IDLE_SECONDS: { schema: seconds(600), looksLike: 'a number of seconds, 1 to 600' },
  EXAMPLE_WORKER: { schema: v.optional(v.picklist(['true', 'false'])), looksLike: 'true or false' },
  LOG_LEVEL: {
    schema: v.optional(v.picklist(['DEBUG', 'INFO', 'WARN', 'ERROR'])),
    looksLike: 'DEBUG, INFO, WARN or ERROR',
  },
} as const;

type Variables = typeof variables;
export type VariableName = keyof Variables;
export type Config<Name extends VariableName> = { [N in Name]: v.InferOutput<Variables[N]['schema']> };

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads the named variables; an empty text counts as unset. Throws ConfigError that tells every variable at fault and
 * what it should look like, but no value, for a value may hold a password.
 */
export function readConfig<Name extends VariableName>(
  names: readonly Name[],
  env: Readonly<Record<string, string | undefined>> = process.env,
): Config<Name> {
  const faults: string[] = [];
  const entries = names.map((name) => {
    const { schema, looksLike } = variables[name];
    const text = env[name] || undefined;
    const result = v.safeParse(schema, text);
    if (!result.success)
      faults.push(`${name} is ${text === undefined ? 'not set' : 'not valid'}; it should be ${looksLike}`);
    return [name, result.output];
  });
  const config = Object.fromEntries(entries);
  const { API_QUEUE, WS_QUEUE, REPLY_SHARDS, AMQP_URL, AMQP_SECRET_ARN } = config;
  if (faults.length === 0 && API_QUEUE !== undefined && WS_QUEUE !== undefined) {
    if (!areDifferentQueues({ apiQueue: API_QUEUE, wsQueue: WS_QUEUE, replyShards: REPLY_SHARDS })) {
      faults.push('API_QUEUE and WS_QUEUE (with its shards and its dead letters) must be different queues');
    }
  }
  if (faults.length === 0 && AMQP_SECRET_ARN !== undefined && hasCredentials(AMQP_URL)) {
    faults.push('AMQP_URL must have no username and password beside AMQP_SECRET_ARN');
  }
  const keys = ['JWT_JWKS_URL', 'JWT_SECRET_ARN', 'JWT_SECRET'] as const;
  if (faults.length === 0 && keys.every((key) => (names as readonly VariableName[]).includes(key))) {
    const set = keys.filter((key) => config[key] !== undefined);
    if (set.length !== 1) faults.push(`exactly one of ${keys.join(', ')} must be set`);
  }
  if (faults.length > 0) throw new ConfigError(`Configuration: ${faults.join('. ')}.`);
  return config as Config<Name>;
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function hasCredentials(url: string): boolean {
  const { username, password } = new URL(url);
  return username !== '' || password !== '';
}
