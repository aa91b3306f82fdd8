import * as v from 'valibot';
import { type VariableName, variables } from '../lib/config';

/**
 * Each parameter of a deployment: the form in which it is written, what to say where it is not, and, where there is one,
 * the variable of the functions that it becomes, by which it is set on a laptop. Nothing is said here of how they depend
 * on each other.
 */

const wholeNumber = (least: number, most: number) =>
  v.pipe(v.string(), v.regex(/^\d{1,9}$/), v.transform(Number), v.minValue(least), v.maxValue(most));
const flag = v.pipe(
  v.picklist(['true', 'false']),
  v.transform((text) => text === 'true'),
);
const matching = (pattern: RegExp) => v.pipe(v.string(), v.regex(pattern));
const list = (pattern: RegExp) =>
  v.pipe(
    v.string(),
    v.transform((text) => text.split(',').map((item) => item.trim())),
    v.array(matching(pattern)),
  );

/** Whole, with the six characters at its end: as the resource of a policy it matches nothing without them. */
const secretArn = matching(/^arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:\S+-[A-Za-z0-9]{6}$/);
const wholeArn = 'the ARN of a secret, with the six characters at its end';

/** The retention periods that CloudWatch Logs knows, in days. */
const retentions = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

const ofVariable = <Name extends VariableName>(variable: Name) => ({ ...variables[variable], variable });

/** An empty text counts as unset. */
export const schemas = {
  apiQueue: ofVariable('API_QUEUE'),
  wsQueue: ofVariable('WS_QUEUE'),
  requestStyle: ofVariable('REQUEST_STYLE'),
  broker: { schema: v.picklist(['managed', 'existing']), looksLike: 'managed or existing' },
  brokerAccess: { schema: v.optional(v.picklist(['public', 'private'])), looksLike: 'public or private' },
  brokerInstanceType: { schema: v.optional(matching(/^mq\.[\w.]+$/)), looksLike: 'a type such as mq.m7g.large' },
  brokerEngineVersion: { schema: matching(/^\d+\.\d+$/), looksLike: 'a version of RabbitMQ such as 3.13' },
  brokerConnections: {
    schema: v.optional(wholeNumber(10, 1_000_000)),
    looksLike: 'the number of connections that the broker takes',
  },
  brokerArn: {
    schema: v.optional(matching(/^arn:[\w-]+:mq:[\w-]+:\d{12}:broker:[\w-]+:b-[\w-]+$/)),
    looksLike: 'arn:aws:mq:<region>:<account>:broker:<name>:<id>',
  },
  brokerSecretArn: { schema: v.optional(secretArn), looksLike: wholeArn },
  brokerHost: { schema: v.optional(matching(/^[\w-]+(\.[\w-]+)+$/)), looksLike: 'the host name of the broker' },
  brokerSubnets: { schema: v.optional(list(/^subnet-\w+$/)), looksLike: 'subnet-...,subnet-...' },
  brokerSecurityGroups: { schema: v.optional(list(/^sg-\w+$/)), looksLike: 'sg-...,sg-...' },
  availabilityZones: {
    schema: v.optional(v.pipe(list(/^[a-z]+(-[a-z]+)+-\d[a-z]$/), v.length(2))),
    looksLike: 'two availability zones, such as us-east-1a,us-east-1b',
  },
  sendConcurrency: {
    schema: v.optional(v.union([v.literal('none'), wholeNumber(1, 10_000)])),
    looksLike: 'a number, or none',
  },
  replyShards: ofVariable('REPLY_SHARDS'),
  auth: { schema: v.optional(v.picklist(['none', 'jwt'])), looksLike: 'none or jwt', variable: 'AUTH' },
  allowNoAuth: { schema: flag, looksLike: 'true or false' },
  jwtIssuer: { ...ofVariable('JWT_ISSUER'), schema: v.optional(v.string()) },
  jwtAudience: { ...ofVariable('JWT_AUDIENCE'), schema: v.optional(v.string()) },
  jwksUrl: ofVariable('JWT_JWKS_URL'),
  jwtSecretArn: { schema: v.optional(secretArn), looksLike: wholeArn, variable: 'JWT_SECRET_ARN' },
  jwtClockSkewSeconds: ofVariable('JWT_CLOCK_SKEW_SECONDS'),
  allowedOrigins: ofVariable('ALLOWED_ORIGINS'),
  accessLogs: { schema: v.optional(v.picklist(['on', 'off'])), looksLike: 'on or off' },
  alarmTopicArn: {
    schema: v.optional(matching(/^arn:[\w-]+:sns:[\w-]+:\d{12}:\S+$/)),
    looksLike: 'the ARN of an SNS topic',
  },
  exampleWorker: { schema: v.optional(flag), looksLike: 'true or false', variable: 'EXAMPLE_WORKER' },
  deleteQueues: { schema: flag, looksLike: 'true or false' },
  requestsPerSecond: { schema: wholeNumber(1, 100_000), looksLike: 'a number' },
  logRetentionInDays: {
    schema: v.pipe(
      wholeNumber(1, 3653),
      v.check((days) => retentions.includes(days)),
    ),
    looksLike: `one of ${retentions.join(', ')}`,
  },
} as const;

type Schemas = typeof schemas;
export type ParameterName = keyof Schemas;
export const parameterNames = Object.keys(schemas) as ParameterName[];

/** What was given, by itself. */
export type Given = { [Name in ParameterName]: v.InferOutput<Schemas[Name]['schema']> };

/**
 * What is at fault is missing from the answer, and told by `onFault`.
 * @param environment its variables stand in for parameters; undefined where they do not count.
 */
export function readTexts(
  texts: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>> | undefined,
  onFault: (name: ParameterName, fault: string) => void,
): Given {
  const entries = parameterNames.map((name) => {
    const {
      schema,
      looksLike,
      variable,
    }: { schema: Schemas[typeof name]['schema']; looksLike: string; variable?: string } = schemas[name];
    const set = variable === undefined ? undefined : environment?.[variable];
    // The command line and serverless.yml may hand over numbers and booleans.
    const text = (set || String(texts[name] ?? '')).trim();
    const result = v.safeParse(schema, text === '' ? undefined : text);
    if (!result.success) {
      const called = environment !== undefined && variable !== undefined ? variable : name;
      onFault(name, `${called} is ${text === '' ? 'not set' : 'not valid'}; it should be ${looksLike}`);
    }
    return [name, result.success ? result.output : undefined];
  });
  return Object.fromEntries(entries);
}
