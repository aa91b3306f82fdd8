import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { topology } from '../../infra/topology';
import { root } from '../helpers/stack';

/** What `sls package` gives without network or credentials: the CloudFormation template and the bundles. */

interface Resource {
  Type: string;
  // biome-ignore lint/suspicious/noExplicitAny: CloudFormation has 1,800 types
  Properties: Record<string, any>;
}

const run = promisify(execFile);
let folder: string;
let resources: Record<string, Resource>;

/** Packages as a machine without AWS would. */
async function packageStage(stage: string, more: string[] = []): Promise<Record<string, Resource>> {
  const { PATH } = process.env;
  const serverless = join(root, 'node_modules/serverless/bin/serverless.js');
  const environment = { PATH, HOME: join(folder, 'home') };
  await run(process.execPath, [serverless, 'package', '--stage', stage, '--package', join(folder, stage), ...more], {
    cwd: root,
    env: environment,
  });
  const template = await readFile(join(folder, stage, 'cloudformation-template-update-stack.json'), 'utf8');
  return JSON.parse(template).Resources;
}

function ofType(type: string): Record<string, Resource> {
  return Object.fromEntries(Object.entries(resources).filter(([, { Type }]) => Type === type));
}

/** What a function's role may do, and on what. */
function permissions(functionKey: string): Record<string, unknown> {
  const role = resources[`${functionKey}LambdaFunction`]?.Properties.Role['Fn::GetAtt'][0];
  const statements = resources[role]?.Properties.Policies.flatMap(
    (policy: { PolicyDocument: { Statement: unknown[] } }) => policy.PolicyDocument.Statement,
  );
  return Object.fromEntries(
    statements.flatMap(({ Action, Resource }: { Action: string | string[]; Resource: unknown }) =>
      [Action].flat().map((action) => [action, Resource]),
    ),
  );
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ws-gateway-package-'));
  resources = await packageStage('dev');
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the packaged service', () => {
  test('has one bundle a function, and nothing else in its zip', async () => {
    const zips = (await readdir(join(folder, 'dev'))).filter((file) => file.endsWith('.zip')).sort();
    expect(zips).toEqual(
      ['connect', 'consumer', 'default', 'disconnect', 'send', 'worker'].map((name) => `${name}.zip`),
    );
    for (const zip of zips) {
      const listing = (await readFile(join(folder, 'dev', zip))).toString('latin1');
      expect(listing.match(/dist\/\w+\.js/g)?.every((name) => name === `dist/${zip.replace('zip', 'js')}`)).toBe(true);
      expect(listing).not.toContain('node_modules/');
    }
  });

  test('bundles only what a function needs', async () => {
    const has = async (name: string, text: string) =>
      (await readFile(join(root, 'dist', `${name}.js`), 'utf8')).includes(text);
    for (const name of ['connect', 'disconnect', 'default']) {
      expect([await has(name, 'amqplib'), await has(name, 'GetSecretValue')]).toEqual([false, false]);
    }
    for (const name of ['send', 'default', 'worker']) expect(await has(name, 'DynamoDB_20120810')).toBe(false);
  });
});

describe('the template', () => {
  test('routes what a client does, with a response for frames', () => {
    const routes = Object.values(ofType('AWS::ApiGatewayV2::Route')).map(({ Properties }) => [
      Properties.RouteKey,
      Properties.RouteResponseSelectionExpression ?? null,
    ]);
    expect(routes.sort()).toEqual([
      ['$connect', null],
      ['$default', '$default'],
      ['$disconnect', null],
      ['send', '$default'],
    ]);
    expect(Object.keys(ofType('AWS::ApiGatewayV2::RouteResponse'))).toHaveLength(2);
    expect(resources.WebsocketsApi?.Properties.RouteSelectionExpression).toBe('$request.body.action');
  });

  test('feeds the consumer and the worker from queues that the topology has', () => {
    const names = topology({ apiQueue: 'api_queue', wsQueue: 'ws_queue' }).map(({ name }) => name);
    const { ConsumerMapping, WorkerMapping } = ofType('AWS::Lambda::EventSourceMapping');
    expect(ConsumerMapping?.Properties).toMatchObject({
      FunctionName: { 'Fn::GetAtt': ['ConsumerLambdaFunction', 'Arn'] },
      Queues: ['ws_queue'],
      BatchSize: 100,
      MaximumBatchingWindowInSeconds: 0,
    });
    expect(WorkerMapping?.Properties).toMatchObject({ Queues: ['api_queue'] });
    for (const mapping of [ConsumerMapping, WorkerMapping]) {
      expect(names).toContain(mapping?.Properties.Queues[0]);
      expect(mapping?.Properties.SourceAccessConfigurations.map(({ Type }: { Type: string }) => Type)).toEqual([
        'BASIC_AUTH',
        'VIRTUAL_HOST',
      ]);
    }
  });

  test('has the connection table, whose rows end by themselves', () => {
    expect(resources.ConnectionTable?.Properties).toMatchObject({
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: [{ AttributeName: 'connectionId', KeyType: 'HASH' }],
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
    });
  });

  test('gives each function what its code calls, and no more', () => {
    const table = { 'Fn::GetAtt': ['ConnectionTable', 'Arn'] };
    const logs = { 'logs:CreateLogStream': expect.anything(), 'logs:PutLogEvents': expect.anything() };
    const login = { 'secretsmanager:GetSecretValue': expect.stringMatching(/^arn:aws:secretsmanager:.*:secret:/) };
    const queue = {
      ...login,
      'mq:DescribeBroker': expect.stringMatching(/^arn:aws:mq:/),
      'ec2:CreateNetworkInterface': '*',
      'ec2:DeleteNetworkInterface': '*',
      'ec2:DescribeNetworkInterfaces': '*',
      'ec2:DescribeSecurityGroups': '*',
      'ec2:DescribeSubnets': '*',
      'ec2:DescribeVpcs': '*',
    };
    expect(permissions('Connect')).toEqual({ ...logs, 'dynamodb:PutItem': table });
    expect(permissions('Disconnect')).toEqual({ ...logs, 'dynamodb:DeleteItem': table });
    expect(permissions('Default')).toEqual(logs);
    expect(permissions('Send')).toEqual({ ...logs, ...login });
    expect(permissions('Worker')).toEqual({ ...logs, ...queue });
    expect(permissions('Consumer')).toEqual({
      ...logs,
      ...queue,
      'dynamodb:DeleteItem': table,
      'execute-api:ManageConnections': {
        'Fn::Sub': expect.stringMatching(/\$\{WebsocketsApi\}\/dev\/POST\/@connections\/\*$/),
      },
    });
  });

  test('has no password: those who publish read the secret themselves', () => {
    for (const [name, { Properties }] of Object.entries(ofType('AWS::Lambda::Function'))) {
      const { AMQP_URL, AMQP_SECRET_ARN } = Properties.Environment?.Variables ?? {};
      const publishes = ['Send', 'Consumer', 'Worker'].some((each) => name === `${each}LambdaFunction`);
      expect([AMQP_URL, AMQP_SECRET_ARN]).toEqual(
        publishes
          ? [expect.stringMatching(/^amqps:\/\/[\w.-]+:5671$/), expect.stringMatching(/^arn:aws:secretsmanager:/)]
          : [undefined, undefined],
      );
    }
    expect(JSON.stringify(resources)).not.toContain('{{resolve:');
  });

  test('runs on a Lambda runtime of Node 22 or later', () => {
    for (const { Properties } of Object.values(ofType('AWS::Lambda::Function'))) {
      expect(Number(/^nodejs(\d+)\.x$/.exec(Properties.Runtime)?.[1])).toBeGreaterThanOrEqual(22);
    }
  });

  test('leaves the request queue to the team’s own services, unless told otherwise', async () => {
    const { WorkerMapping } = await packageStage('example', ['--param=exampleWorker=true']);
    expect(WorkerMapping?.Properties.Enabled).toBe(true);
    expect(resources.WorkerMapping?.Properties.Enabled).toBe(false);
  }, 60_000);
});
