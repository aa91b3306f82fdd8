import * as v from 'valibot';
import { ConfigError } from '../lib/config';

/**
 * The parameters of a deployment (`--param="name=value"`): read from the texts of serverless.yml, with the defaults of
 * the stage, and refused with one error that names every fault. docs/DEPLOY.md has the table of all of them.
 */

export interface Parameters {
  service: string;
  stage: string;
  /** The stage is called prod. */
  production: boolean;
  apiQueue: string;
  wsQueue: string;
  requestStyle: string;
  replyShards: number;
  broker: ManagedBroker | ExistingBroker;
  /** Concurrent runs of `send`, each of which holds a connection to the broker; undefined reserves none. */
  sendConcurrency: number | undefined;
  auth: Auth;
  /** Empty: any. */
  allowedOrigins: string;
  accessLogs: boolean;
  alarmTopicArn: string | undefined;
  exampleWorker: boolean;
  deleteQueues: boolean;
  requestsPerSecond: number;
  logRetentionInDays: number;
}

interface Broker {
  /** As in CloudWatch. */
  name: string;
  /** Such as 3.13. */
  engineVersion: string;
  /** What the broker refuses connections above. */
  connectionLimit: number;
}

export interface ManagedBroker extends Broker {
  kind: 'managed';
  /** `public`: one instance with a public TLS endpoint. `private`: a cluster in a network of its own. */
  access: 'public' | 'private';
  instanceType: string;
}

export interface ExistingBroker extends Broker {
  kind: 'existing';
  arn: string;
  secretArn: string;
  host: string;
  /** Where the functions that publish run; undefined for a broker that is reachable from anywhere. */
  network: { subnetIds: string[]; securityGroupIds: string[] } | undefined;
}

export type Auth = { mode: 'none' } | JwtAuth;

export interface JwtAuth {
  mode: 'jwt';
  issuer: string;
  audience: string;
  clockSkewSeconds: number;
  /** `secret`, the key itself, only on a laptop. */
  keys: { jwksUrl: string } | { secretArn: string } | { secret: string };
}

/** A node's, https://docs.aws.amazon.com/amazon-mq/latest/developer-guide/rabbitmq-sizing-guidelines.html */
const connectionLimits: Readonly<Record<string, number>> = {
  'mq.m7g.medium': 300,
  'mq.m7g.large': 5_000,
  'mq.m7g.xlarge': 10_000,
  'mq.m7g.2xlarge': 20_000,
  'mq.m5.large': 5_000,
  'mq.m5.xlarge': 10_000,
  'mq.m5.2xlarge': 20_000,
  'mq.t3.micro': 500,
};

const instanceTypes = { public: 'mq.m7g.medium', private: 'mq.m7g.large' };

/** Some of the account's 1,000 concurrent runs stay for the other functions. */
const mostSendConcurrency = 800;

/** The retention periods that CloudWatch Logs knows, in days. */
const retentions = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

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
const secretArn = matching(/^arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:\S+$/);

/** Each parameter, in the form in which it is written, and what to say where it is not. An empty text counts as unset. */
const schemas = {
  broker: [v.picklist(['managed', 'existing']), 'managed or existing'],
  brokerAccess: [v.optional(v.picklist(['public', 'private'])), 'public or private'],
  brokerInstanceType: [v.optional(matching(/^mq\.[\w.]+$/)), 'an instance type such as mq.m7g.large'],
  brokerEngineVersion: [matching(/^\d+\.\d+$/), 'a version of RabbitMQ such as 3.13'],
  brokerConnections: [v.optional(wholeNumber(10, 1_000_000)), 'the number of connections that the broker takes'],
  brokerArn: [
    v.optional(matching(/^arn:[\w-]+:mq:[\w-]+:\d{12}:broker:[\w-]+:b-[\w-]+$/)),
    'arn:aws:mq:<region>:<account>:broker:<name>:<id>',
  ],
  brokerSecretArn: [v.optional(secretArn), 'the ARN of a secret with the username and password of the broker'],
  brokerHost: [v.optional(matching(/^[\w-]+(\.[\w-]+)+$/)), 'the host name of the broker'],
  brokerSubnets: [v.optional(list(/^subnet-\w+$/)), 'subnet-...,subnet-...'],
  brokerSecurityGroups: [v.optional(list(/^sg-\w+$/)), 'sg-...,sg-...'],
  sendConcurrency: [v.optional(v.union([v.literal('none'), wholeNumber(1, 10_000)])), 'a number, or none'],
  replyShards: [wholeNumber(1, 32), 'a number from 1 to 32'],
  auth: [v.optional(v.picklist(['none', 'jwt'])), 'none or jwt'],
  allowNoAuth: [flag, 'true or false'],
  jwtIssuer: [v.optional(v.string()), 'the "iss" of the tokens'],
  jwtAudience: [v.optional(v.string()), 'the "aud" of the tokens'],
  jwksUrl: [v.optional(matching(/^https:\/\/\S+$|^http:\/\/(localhost|127\.0\.0\.1)[:/]\S*$/)), 'an https URL'],
  jwtSecretArn: [v.optional(secretArn), 'the ARN of a secret that holds the shared key'],
  jwtClockSkewSeconds: [wholeNumber(0, 300), 'a number from 0 to 300'],
  allowedOrigins: [v.optional(v.string(), ''), 'https://app.example.com,https://...'],
  accessLogs: [v.optional(v.picklist(['on', 'off'])), 'on or off'],
  alarmTopicArn: [v.optional(matching(/^arn:[\w-]+:sns:[\w-]+:\d{12}:\S+$/)), 'the ARN of an SNS topic'],
  exampleWorker: [flag, 'true or false'],
  deleteQueues: [flag, 'true or false'],
  requestsPerSecond: [wholeNumber(1, 100_000), 'a number'],
  logRetentionInDays: [
    v.pipe(
      wholeNumber(1, 3653),
      v.check((days) => retentions.includes(days)),
    ),
    `one of ${retentions.join(', ')}`,
  ],
} as const;

type Schemas = typeof schemas;
export type ParameterName = keyof Schemas;
export const parameterNames = Object.keys(schemas) as ParameterName[];

/** What does not come by a parameter of its own. */
export interface Surroundings {
  service: string;
  stage: string;
  apiQueue: string;
  wsQueue: string;
  requestStyle: string;
  /** The key of the tokens in plain text, on a laptop; undefined in a deployment. */
  localJwtSecret: string | undefined;
}

/** Throws ConfigError that tells every parameter at fault. */
export function readParameters(texts: Readonly<Record<string, unknown>>, surroundings: Surroundings): Parameters {
  const faults: string[] = [];
  const given = readAll(texts, faults);
  const { localJwtSecret, ...others } = surroundings;
  const production = others.stage === 'prod';
  const broker = brokerOf(given, others, production, faults);
  const auth = authOf(given, production, localJwtSecret, faults);
  if (faults.length > 0) throw new ConfigError(`Parameters: ${faults.join('. ')}. docs/DEPLOY.md describes them all.`);
  const { sendConcurrency = Math.min(Math.floor(broker.connectionLimit * 0.8), mostSendConcurrency) } = given;
  return {
    ...others,
    production,
    broker,
    auth,
    replyShards: given.replyShards,
    sendConcurrency: sendConcurrency === 'none' ? undefined : sendConcurrency,
    allowedOrigins: given.allowedOrigins,
    accessLogs: (given.accessLogs ?? (production ? 'on' : 'off')) === 'on',
    alarmTopicArn: given.alarmTopicArn,
    exampleWorker: given.exampleWorker,
    deleteQueues: given.deleteQueues,
    requestsPerSecond: given.requestsPerSecond,
    logRetentionInDays: given.logRetentionInDays,
  };
}

type Given = { [Name in ParameterName]: v.InferOutput<Schemas[Name][0]> };

function readAll(texts: Readonly<Record<string, unknown>>, faults: string[]): Given {
  const entries = parameterNames.map((name) => {
    const [schema, looksLike] = schemas[name];
    // The command line and serverless.yml may hand over numbers and booleans.
    const text = texts[name] === undefined || texts[name] === null ? '' : String(texts[name]).trim();
    const result = v.safeParse(schema, text === '' ? undefined : text);
    if (!result.success)
      faults.push(`${name} ${text === '' ? 'is not set' : 'is not valid'}; it should be ${looksLike}`);
    return [name, result.success ? result.output : undefined];
  });
  return Object.fromEntries(entries);
}

function brokerOf(
  given: Given,
  { service, stage }: { service: string; stage: string },
  production: boolean,
  faults: string[],
): ManagedBroker | ExistingBroker {
  const { brokerEngineVersion: engineVersion } = given;
  const access = given.brokerAccess ?? (production ? 'private' : 'public');
  const instanceType = given.brokerInstanceType ?? instanceTypes[access];
  const connectionLimit = given.brokerConnections ?? connectionLimits[instanceType] ?? 0;
  if (connectionLimit === 0)
    faults.push(`brokerConnections is not set, and the limit of ${instanceType} is not known here`);
  if (given.broker !== 'existing') {
    // It runs brokers that exist, and creates none any more.
    if (instanceType.startsWith('mq.t')) faults.push(`Amazon MQ creates no RabbitMQ on ${instanceType}`);
    return { kind: 'managed', name: `${service}-${stage}`, access, instanceType, engineVersion, connectionLimit };
  }
  const { brokerArn: arn = '', brokerSecretArn: secretArn = '', brokerHost: host = '' } = given;
  // The host is not found in the ARN: of the two domains of Amazon MQ a broker's certificate may cover only one.
  for (const [name, text] of Object.entries({ brokerArn: arn, brokerSecretArn: secretArn, brokerHost: host })) {
    if (text === '') faults.push(`broker is existing, so ${name} must be set`);
  }
  if ((given.brokerSubnets === undefined) !== (given.brokerSecurityGroups === undefined)) {
    faults.push('brokerSubnets and brokerSecurityGroups must be set both or neither');
  }
  const [, , , , , , name = ''] = arn.split(':');
  return {
    kind: 'existing',
    name,
    arn,
    secretArn,
    host,
    network:
      given.brokerSubnets === undefined
        ? undefined
        : { subnetIds: given.brokerSubnets, securityGroupIds: given.brokerSecurityGroups ?? [] },
    engineVersion,
    connectionLimit,
  };
}

function authOf(given: Given, production: boolean, localSecret: string | undefined, faults: string[]): Auth {
  const { jwtIssuer: issuer = '', jwtAudience: audience = '', jwksUrl, jwtSecretArn } = given;
  if ((given.auth ?? (production ? 'jwt' : 'none')) === 'none') {
    if (production && !given.allowNoAuth) {
      faults.push('auth is none on the stage prod: anybody could connect; set allowNoAuth to true if that is meant');
    }
    return { mode: 'none' };
  }
  if (issuer === '') faults.push('auth is jwt, so jwtIssuer must be set');
  if (audience === '') faults.push('auth is jwt, so jwtAudience must be set');
  const keys = [
    ...(jwksUrl === undefined ? [] : [{ jwksUrl }]),
    ...(jwtSecretArn === undefined ? [] : [{ secretArn: jwtSecretArn }]),
    ...(localSecret === undefined ? [] : [{ secret: localSecret }]),
  ];
  if (keys.length !== 1) faults.push('auth is jwt, so exactly one of jwksUrl and jwtSecretArn must be set');
  const [first = { jwksUrl: '' }] = keys;
  return { mode: 'jwt', issuer, audience, clockSkewSeconds: given.jwtClockSkewSeconds, keys: first };
}
