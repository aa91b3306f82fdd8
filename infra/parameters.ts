import * as v from 'valibot';
import { ConfigError, variables } from '../lib/config';
import { type Given, type ParameterName, parameterNames, readTexts } from './parameter-schemas';
import { areDifferentQueues } from './topology';

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
  requestStyle: 'event' | 'rpc';
  replyShards: number;
  broker: ManagedBroker | ExistingBroker;
  /** Of the private network; undefined takes the first two of the region. */
  availabilityZones: string[] | undefined;
  /** Concurrent runs of `send`, each of which holds a connection to the broker; undefined reserves none. */
  sendConcurrency: number | undefined;
  auth: Auth;
  /** Empty: any. */
  allowedOrigins: string[];
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

/** What does not come by a parameter of its own. */
export interface Surroundings {
  service: string;
  stage: string;
  region: string;
  /** The names of the parameters that the user has set. */
  named: readonly string[];
  /** The variables that stand in for parameters on a laptop; undefined in a deployment, where none counts. */
  laptop: Readonly<Record<string, string | undefined>> | undefined;
}

/** Tells what is wrong; all of it ends in one error. */
type Fault = (text: string) => void;

/** Throws ConfigError that tells every parameter at fault. */
export function readParameters(texts: Readonly<Record<string, unknown>>, surroundings: Surroundings): Parameters {
  const { service, stage, named, laptop } = surroundings;
  const faults: string[] = [];
  const fault: Fault = (text) => faults.push(text);
  for (const name of named) {
    if (!parameterNames.includes(name as ParameterName)) fault(`there is no parameter ${name}`);
  }
  const unreadable = new Set<ParameterName>();
  const given = readTexts(texts, laptop, (name, text) => {
    unreadable.add(name);
    fault(text);
  });
  // With it begin the names of broker, functions and roles; a broker's is the shortest that AWS takes.
  const longest = 50;
  if (`${service}-${stage}`.length > longest)
    fault(`the stage ${stage} is too long; with the service, ${longest} letters`);
  const production = stage === 'prod';
  const broker = brokerOf(given, surroundings, production, fault);
  const auth = authOf(given, surroundings, production, unreadable, fault);
  const { apiQueue, wsQueue, replyShards } = given;
  if (!['apiQueue', 'wsQueue', 'replyShards'].some((name) => unreadable.has(name as ParameterName))) {
    if (!areDifferentQueues({ apiQueue, wsQueue, replyShards })) {
      fault('apiQueue and wsQueue (with its shards and its dead letters) must be different queues');
    }
  }
  if (faults.length > 0) {
    const told = `${faults.join('. ')}.`;
    throw new ConfigError(laptop ? `Configuration: ${told}` : `Parameters: ${told} docs/DEPLOY.md describes them all.`);
  }
  const { sendConcurrency = Math.min(Math.floor(broker.connectionLimit * 0.8), mostSendConcurrency) } = given;
  return {
    service,
    stage,
    production,
    apiQueue,
    wsQueue,
    requestStyle: given.requestStyle,
    broker,
    auth,
    replyShards,
    availabilityZones: given.availabilityZones,
    sendConcurrency: sendConcurrency === 'none' ? undefined : sendConcurrency,
    allowedOrigins: given.allowedOrigins,
    accessLogs: (given.accessLogs ?? (production ? 'on' : 'off')) === 'on',
    alarmTopicArn: given.alarmTopicArn,
    exampleWorker: given.exampleWorker ?? laptop !== undefined,
    deleteQueues: given.deleteQueues,
    requestsPerSecond: given.requestsPerSecond,
    logRetentionInDays: given.logRetentionInDays,
  };
}

/** RabbitMQ 4 runs on fewer types, has limits of its own, and no metrics of single queues. */
export function isRabbitMq3(engineVersion: string): boolean {
  return engineVersion.startsWith('3.');
}

/** Those that mean nothing for the other kind of broker. */
const ofManaged = ['brokerAccess', 'availabilityZones'] as const;
const ofExisting = ['brokerArn', 'brokerSecretArn', 'brokerHost', 'brokerSubnets', 'brokerSecurityGroups'] as const;

function brokerOf(
  given: Given,
  { service, stage, region }: Surroundings,
  production: boolean,
  fault: Fault,
): ManagedBroker | ExistingBroker {
  const { brokerEngineVersion: engineVersion = '' } = given;
  const onThree = isRabbitMq3(engineVersion);
  const foreign = given.broker === 'existing' ? ofManaged : ofExisting;
  for (const name of foreign) {
    if (given[name] !== undefined) fault(`${name} is set, and means nothing with broker ${given.broker}`);
  }
  const access = given.brokerAccess ?? (production ? 'private' : 'public');
  // Of an existing broker it may not be told.
  const { brokerInstanceType: type = given.broker === 'existing' ? '' : instanceTypes[access] } = given;
  // On RabbitMQ 4 the limit is a setting of the broker.
  const known = onThree ? connectionLimits[type] : undefined;
  const connectionLimit = given.brokerConnections ?? known ?? 0;
  if (connectionLimit === 0) {
    const which = type === '' ? 'an existing broker' : `${type} with RabbitMQ ${engineVersion}`;
    fault(`brokerConnections is not set, and the limit of ${which} is not known here`);
  }
  if (given.broker !== 'existing') {
    // It runs brokers that exist, and creates none any more.
    if (type.startsWith('mq.t')) fault(`Amazon MQ creates no RabbitMQ on ${type}`);
    if (!onThree && !type.startsWith('mq.m7g.')) fault(`RabbitMQ ${engineVersion} runs on mq.m7g only, not on ${type}`);
    return { kind: 'managed', name: `${service}-${stage}`, access, instanceType: type, engineVersion, connectionLimit };
  }
  const { brokerArn: arn = '', brokerSecretArn: secretArn = '', brokerHost: host = '' } = given;
  // The host is not found in the ARN: of the two domains of Amazon MQ a broker's certificate may cover only one.
  for (const [name, text] of Object.entries({ brokerArn: arn, brokerSecretArn: secretArn, brokerHost: host })) {
    if (text === '') fault(`broker is existing, so ${name} must be set`);
    const [prefix, , , itsRegion] = text.split(':');
    if (prefix === 'arn' && itsRegion !== region) {
      fault(`${name} is of ${itsRegion}, and the deployment of ${region}: pass --region ${itsRegion}`);
    }
  }
  if ((given.brokerSubnets === undefined) !== (given.brokerSecurityGroups === undefined)) {
    fault('brokerSubnets and brokerSecurityGroups must be set both or neither');
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

function authOf(
  given: Given,
  { laptop }: Surroundings,
  production: boolean,
  unreadable: ReadonlySet<ParameterName>,
  fault: Fault,
): Auth {
  const { jwtIssuer: issuer = '', jwtAudience: audience = '', jwksUrl, jwtSecretArn } = given;
  if ((given.auth ?? (production ? 'jwt' : 'none')) === 'none') {
    if (production && !given.allowNoAuth) {
      fault('auth is none on the stage prod: anybody could connect; set allowNoAuth to true if that is meant');
    }
    // On a laptop they may be left over from before.
    const idle = (['jwtIssuer', 'jwtAudience', 'jwksUrl', 'jwtSecretArn'] as const).filter((name) => given[name]);
    if (!laptop && idle.length > 0) fault(`${idle.join(', ')} given, and auth is none: set auth to jwt`);
    return { mode: 'none' };
  }
  const called = laptop
    ? {
        auth: 'AUTH',
        issuer: 'JWT_ISSUER',
        audience: 'JWT_AUDIENCE',
        keys: 'JWT_SECRET, JWT_JWKS_URL and JWT_SECRET_ARN',
      }
    : { auth: 'auth', issuer: 'jwtIssuer', audience: 'jwtAudience', keys: 'jwksUrl and jwtSecretArn' };
  if (issuer === '') fault(`${called.auth} is jwt, so ${called.issuer} must be set`);
  if (audience === '') fault(`${called.auth} is jwt, so ${called.audience} must be set`);
  const secret = laptop?.JWT_SECRET || undefined;
  const { schema, looksLike } = variables.JWT_SECRET;
  if (!v.is(schema, secret)) fault(`JWT_SECRET is not valid; it should be ${looksLike}`);
  const keys = [
    ...(jwksUrl === undefined ? [] : [{ jwksUrl }]),
    ...(jwtSecretArn === undefined ? [] : [{ secretArn: jwtSecretArn }]),
    ...(secret === undefined ? [] : [{ secret }]),
  ];
  if (keys.length !== 1 && !unreadable.has('jwksUrl') && !unreadable.has('jwtSecretArn')) {
    fault(`${called.auth} is jwt, so exactly one of ${called.keys} must be set`);
  }
  if (!laptop && jwksUrl?.startsWith('http:')) fault('jwksUrl is of this machine; it should be an https URL');
  const [first = { jwksUrl: '' }] = keys;
  return { mode: 'jwt', issuer, audience, clockSkewSeconds: given.jwtClockSkewSeconds, keys: first };
}
