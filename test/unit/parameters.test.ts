import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parameterNames } from '../../infra/parameters';
import { parametersOf as read } from '../helpers/parameters';

const jwt = { auth: 'jwt', jwtIssuer: 'https://id.test/', jwtAudience: 'gate', jwksUrl: 'https://id.test/jwks' };
const existing = {
  broker: 'existing',
  brokerArn: 'arn:aws:mq:eu-west-1:123456789012:broker:rabbit:b-1234-ab',
  brokerSecretArn: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:rabbit-a1b2c3',
  brokerHost: 'b-1234-ab.mq.eu-west-1.on.aws',
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
    [{ replyShards: '0' }, 'dev', /replyShards is not valid; it should be a number from 1 to 32/],
    [{ replyShards: '33' }, 'dev', /replyShards/],
    [{ replyShards: 'x' }, 'dev', /replyShards/],
    [{ logRetentionInDays: '31' }, 'dev', /logRetentionInDays is not valid; it should be one of 1, 3, 5/],
    [{ auth: 'jwt' }, 'dev', /jwtIssuer must be set.*jwtAudience must be set.*exactly one of jwksUrl and jwtSecretArn/],
    [{ ...jwt, jwksUrl: 'http://id.test/jwks' }, 'dev', /jwksUrl is not valid; it should be an https URL/],
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
