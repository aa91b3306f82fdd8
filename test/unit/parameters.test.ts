import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parameterNames } from '../../infra/parameter-schemas';
import { readParameters } from '../../infra/parameters';
import { parametersOf as read, usualTexts } from '../helpers/parameters';

const jwt = { auth: 'jwt', jwtIssuer: 'https://id.test/', jwtAudience: 'gate', jwksUrl: 'https://id.test/jwks' };
const existing = {
  broker: 'existing',
  brokerArn: 'arn:aws:mq:eu-west-1:123456789012:broker:rabbit:b-1234-ab',
  brokerSecretArn: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rabbit-a1b2c3',
  brokerHost: 'b-1234-ab.mq.eu-west-1.on.aws',
  brokerInstanceType: 'mq.m7g.large',
};

describe('the parameters of a deployment', () => {
  test('are a small public broker without authorization on any stage but prod', () => {
    expect(read({})).toMatchObject({
      production: false,
      broker: {
        kind: 'managed',
        name: 'ws-gateway-dev',
        access: 'public',
        instanceType: 'mq.m7g.medium',
        connectionLimit: 300,
      },
      sendConcurrency: 240,
      auth: { mode: 'none' },
      accessLogs: false,
    });
  });

  test('are a private cluster, tokens and access logs on prod', () => {
    expect(read({ jwtIssuer: 'i', jwtAudience: 'a', jwksUrl: 'https://id.test/jwks' }, 'prod')).toMatchObject({
      production: true,
      broker: { access: 'private', instanceType: 'mq.m7g.large', connectionLimit: 5000 },
      sendConcurrency: 800,
      auth: { mode: 'jwt', keys: { jwksUrl: 'https://id.test/jwks' } },
      accessLogs: true,
    });
  });

  test('describe an existing broker, which may be in a network', () => {
    expect(read(existing).broker).toMatchObject({
      kind: 'existing',
      name: 'rabbit',
      host: 'b-1234-ab.mq.eu-west-1.on.aws',
      network: undefined,
    });
    const network = { brokerSubnets: 'subnet-1, subnet-2', brokerSecurityGroups: 'sg-1' };
    expect(read({ ...existing, ...network }).broker).toMatchObject({
      network: { subnetIds: ['subnet-1', 'subnet-2'], securityGroupIds: ['sg-1'] },
    });
  });

  test('may be numbers and booleans, as serverless.yml and the command line give them', () => {
    expect(read({ replyShards: 4, exampleWorker: true, sendConcurrency: 'none' })).toMatchObject({
      replyShards: 4,
      exampleWorker: true,
      sendConcurrency: undefined,
    });
  });

  test.each([
    [{ broker: 'rented' }, 'dev', /broker is not valid; it should be managed or existing/],
    [{ broker: 'existing' }, 'dev', /brokerArn must be set.*brokerSecretArn must be set.*brokerHost must be set/],
    [{ ...existing, brokerArn: 'b-1234' }, 'dev', /brokerArn is not valid/],
    [{ ...existing, brokerSubnets: 'subnet-1' }, 'dev', /brokerSubnets and brokerSecurityGroups/],
    [{ brokerInstanceType: 'mq.m9.large' }, 'dev', /brokerConnections is not set.*mq\.m9\.large/],
    [{ brokerInstanceType: 'mq.t3.micro' }, 'dev', /creates no RabbitMQ on mq\.t3\.micro/],
    [{ brokerEngineVersion: '4.2' }, 'dev', /brokerConnections is not set.*mq\.m7g\.medium with RabbitMQ 4\.2/],
    [
      { brokerEngineVersion: '4.2', brokerInstanceType: 'mq.m5.large', brokerConnections: '100' },
      'dev',
      /RabbitMQ 4\.2 runs on mq\.m7g only/,
    ],
    [{ ...existing, brokerSecretArn: existing.brokerSecretArn.slice(0, -7) }, 'dev', /brokerSecretArn is not valid/],
    [
      { ...existing, brokerArn: existing.brokerArn.replace('eu-west-1', 'us-east-1') },
      'dev',
      /brokerArn is of us-east-1, and the deployment of eu-west-1/,
    ],
    [{ availabilityZones: 'us-east-1a' }, 'dev', /availabilityZones is not valid; it should be two availability zones/],
    [{ wsQueue: 'amq.mine' }, 'dev', /wsQueue is not valid; it should be the name of a queue/],
    [{ requestStyle: 'reply' }, 'dev', /requestStyle is not valid; it should be event or rpc/],
    [{}, 'x'.repeat(40), /the stage x+ is too long/],
    [{ replyShards: '0' }, 'dev', /replyShards is not valid; it should be the number of queues for replies, 1 to 32/],
    [{ replyShards: '33' }, 'dev', /replyShards/],
    [{ replyShards: 'x' }, 'dev', /replyShards/],
    [{ logRetentionInDays: '31' }, 'dev', /logRetentionInDays is not valid; it should be one of 1, 3, 5/],
    [{ auth: 'jwt' }, 'dev', /jwtIssuer must be set.*jwtAudience must be set.*exactly one of jwksUrl and jwtSecretArn/],
    [{ ...jwt, jwksUrl: 'http://id.test/jwks' }, 'dev', /jwksUrl is not valid; it should be https/],
    [{ ...jwt, jwksUrl: 'http://localhost:3000/jwks' }, 'dev', /jwksUrl is of this machine/],
    [{ ...jwt, jwksUrl: 'https://[bad/' }, 'dev', /jwksUrl is not valid/],
    [{ ...jwt, auth: '' }, 'live', /jwtIssuer, jwtAudience, jwksUrl given, and auth is none: set auth to jwt/],
    [{ ...existing, broker: '' }, 'dev', /broker is not set/],
    [{ ...existing, broker: 'managed' }, 'prod', /brokerArn is set, and means nothing with broker managed/],
    [{ ...existing, brokerAccess: 'private' }, 'dev', /brokerAccess is set, and means nothing with broker existing/],
    [
      { ...existing, brokerInstanceType: '' },
      'dev',
      /brokerConnections is not set, and the limit of an existing broker/,
    ],
    [{ alarmTopicARN: 'arn' }, 'dev', /there is no parameter alarmTopicARN/],
    [{ wsQueue: 'api_queue' }, 'dev', /must be different queues/],
    [{ apiQueue: 'ws_queue.2', replyShards: '3' }, 'dev', /must be different queues/],
    [{ allowedOrigins: 'app.example' }, 'dev', /allowedOrigins is not valid; it should be origins such as/],
    [{ ...jwt, jwtSecretArn: existing.brokerSecretArn }, 'dev', /exactly one of jwksUrl and jwtSecretArn/],
    [{ auth: 'none' }, 'prod', /auth is none on the stage prod.*allowNoAuth/],
    [{}, 'prod', /jwtIssuer must be set/],
  ])('are refused with what to do: %j on %s', (texts, stage, message) => {
    expect(() => read(texts, stage)).toThrow(message);
  });

  test('tell every fault at once, and no value', () => {
    const attempt = () => read({ broker: 'hunter2', auth: 'hunter2', replyShards: 'hunter2' });
    expect(attempt).toThrow(/broker is not valid.*replyShards is not valid.*auth is not valid/);
    expect(attempt).not.toThrow(/hunter2/);
  });

  test('are told as variables, and may be set as those, on a laptop alone', () => {
    const environment = { AUTH: 'jwt', JWT_ISSUER: 'me', REPLY_SHARDS: '40', EXAMPLE_WORKER: '' };
    const surroundings = { service: 's', stage: 'dev', region: 'eu-west-1', named: [] };
    const attempt = () => readParameters(usualTexts(), { ...surroundings, laptop: environment });
    expect(attempt).toThrow(
      /REPLY_SHARDS is not valid.*JWT_AUDIENCE must be set.*exactly one of JWT_SECRET, JWT_JWKS_URL/,
    );
    const right = { ...environment, REPLY_SHARDS: '4', JWT_AUDIENCE: 'gate', JWT_SECRET: 'x'.repeat(32) };
    const parameters = readParameters(usualTexts(), { ...surroundings, laptop: right });
    expect(parameters).toMatchObject({
      replyShards: 4,
      exampleWorker: true,
      auth: { keys: { secret: 'x'.repeat(32) } },
    });
    const told = { ...usualTexts(), exampleWorker: 'false' };
    expect(readParameters(told, { ...surroundings, laptop: right }).exampleWorker).toBe(false);
  });

  test('let a prod stage go without tokens where that is said twice', () => {
    expect(read({ auth: 'none', allowNoAuth: 'true' }, 'prod').auth).toEqual({ mode: 'none' });
  });

  test('have names that serverless.yml hands on, each of them', () => {
    const text = readFileSync(join(__dirname, '../../serverless.yml'), 'utf8');
    const { gateway } = parse(text, { logLevel: 'silent' }).custom;
    expect(Object.keys(gateway).sort()).toEqual([...parameterNames].sort());
    for (const name of parameterNames) expect(gateway[name]).toContain(`\${param:${name},`);
  });
});
