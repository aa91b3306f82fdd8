/** Every kind of deployment that the parameters make, as far as the template differs. */

export interface Combination {
  name: string;
  stage: 'dev' | 'prod';
  broker: 'managed public' | 'managed private' | 'existing' | 'existing in a network';
  shards: number;
  auth: 'none' | 'jwt';
  /** As `--param` takes them. */
  parameters: Record<string, string>;
}

const existing = {
  broker: 'existing',
  brokerArn: 'arn:aws:mq:us-east-1:123456789012:broker:example:b-1234a5b6-78cd-901e-2fgh-3i45j6k178l9',
  brokerSecretArn: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:example-a1b2c3',
  brokerHost: 'b-1234a5b6-78cd-901e-2fgh-3i45j6k178l9.mq.us-east-1.amazonaws.com',
  brokerConnections: '1000',
};

const brokers: Record<Combination['broker'], Record<string, string>> = {
  'managed public': { brokerAccess: 'public' },
  'managed private': { brokerAccess: 'private' },
  existing,
  'existing in a network': { ...existing, brokerSubnets: 'subnet-1a,subnet-2b', brokerSecurityGroups: 'sg-3c' },
};

const shards: Record<string, Record<string, string>> = {
  1: {},
  // And with them what may be set beside anything.
  4: {
    replyShards: '4',
    exampleWorker: 'true',
    alarmTopicArn: 'arn:aws:sns:us-east-1:123456789012:alarms',
    deleteQueues: 'true',
  },
};

const issuer = { auth: 'jwt', jwtIssuer: 'https://issuer.example.com', jwtAudience: 'gateway' };
const jwksUrl = 'https://issuer.example.com/.well-known/jwks.json';
const jwtSecretArn = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:tokens-a1b2c3';

export const combinations: Combination[] = (['dev', 'prod'] as const).flatMap((stage) =>
  Object.entries(brokers).flatMap(([broker, ofBroker]) =>
    Object.entries(shards).flatMap(([count, ofShards]) =>
      (['none', 'jwt'] as const).map((auth) => ({
        name: `${stage}, ${broker}, ${count} ${count === '1' ? 'shard' : 'shards'}, ${auth === 'none' ? 'no auth' : auth}`,
        stage,
        broker: broker as Combination['broker'],
        shards: Number(count),
        auth,
        parameters: { ...ofBroker, ...ofShards, ...ofAuth(stage, auth, count) },
      })),
    ),
  ),
);

/** Keys by either way, and origins with one of them and without tokens. */
function ofAuth(stage: string, auth: string, count: string): Record<string, string> {
  const origins: Record<string, string> = count === '1' ? {} : { allowedOrigins: 'https://app.example.com' };
  if (auth === 'jwt') return { ...issuer, ...(count === '1' ? { jwksUrl } : { jwtSecretArn }), ...origins };
  return { auth, ...(stage === 'prod' ? { allowNoAuth: 'true' } : {}), ...origins };
}
