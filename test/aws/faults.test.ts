// biome-ignore-all lint/suspicious/noTemplateCurlyInString: CloudFormation writes its references like this

import { describe, expect, test } from '@jest/globals';
import { templateFaults } from './faults';
import type { Resource, Template } from './template';

/** A template that is right, and each way in which it may be wrong: what checks the deployment must itself be seen to fail. */

const assumeRole = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
};

function right() {
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Parameters: { Zones: { Type: 'List<String>' }, Name: { Type: 'String' } },
    Mappings: { Sizes: { small: { memory: 128 } } },
    Conditions: { Large: { 'Fn::Equals': [{ Ref: 'Name' }, 'large'] }, Small: { 'Fn::Not': [{ Condition: 'Large' }] } },
    Resources: {
      Role: { Type: 'AWS::IAM::Role', Properties: { AssumeRolePolicyDocument: assumeRole } },
      Secret: { Type: 'AWS::SecretsManager::Secret', DeletionPolicy: 'Delete', Properties: {} },
      Broker: {
        Type: 'AWS::AmazonMQ::Broker',
        Properties: {
          BrokerName: 'broker',
          EngineType: 'RABBITMQ',
          HostInstanceType: 'mq.m7g.large',
          DeploymentMode: 'SINGLE_INSTANCE',
          PubliclyAccessible: true,
          Users: [
            {
              Username: 'gateway',
              Password: { 'Fn::Sub': '{{resolve:secretsmanager:${Secret}:SecretString:password}}' },
            },
          ],
        },
      },
      Worker: {
        Type: 'AWS::Lambda::Function',
        DependsOn: ['Broker'],
        Condition: 'Large',
        Properties: {
          Code: { S3Bucket: 'bucket', S3Key: 'key' },
          Handler: 'worker.handler',
          Runtime: 'nodejs22.x',
          Architectures: ['arm64'],
          Role: { 'Fn::GetAtt': ['Role', 'Arn'] },
          MemorySize: { 'Fn::FindInMap': ['Sizes', 'small', 'memory'] },
          Environment: {
            Variables: {
              URL: { 'Fn::Select': [0, { 'Fn::GetAtt': ['Broker', 'AmqpEndpoints'] }] },
              TOPIC: {
                'Fn::Sub': ['arn:${AWS::Partition}:sns:${region}:${!literal}', { region: { Ref: 'AWS::Region' } }],
              },
              STYLE: { 'Fn::If': ['Small', 'rpc', { Ref: 'AWS::NoValue' }] },
            },
          },
          Tags: [{ Key: 'part', Value: 'worker' }],
        },
      },
      Alarm: {
        Type: 'AWS::CloudWatch::Alarm',
        Properties: { ComparisonOperator: 'GreaterThanThreshold', EvaluationPeriods: 1 },
      },
      Topology: {
        Type: 'Custom::Topology',
        Properties: { ServiceToken: { 'Fn::GetAtt': ['Worker', 'Arn'] }, Queues: ['a', 'b'] },
      },
    } as Record<string, Resource>,
    Outputs: { Queue: { Value: { 'Fn::GetAtt': ['Topology', 'Anything'] } } } as Record<
      string,
      Record<string, unknown>
    >,
  };
}

type Right = ReturnType<typeof right>;

/** A template with something changed, and its faults. */
function faultsAfter(change: (template: Right) => void): string[] {
  const template = right();
  change(template);
  // As it is read from JSON, in which nothing is undefined.
  return templateFaults(JSON.parse(JSON.stringify(template)));
}

test('a template that is right has no faults', () => {
  expect(faultsAfter(() => undefined)).toEqual([]);
});

const get = (...argument: string[]) => ({ 'Fn::GetAtt': argument });
const sub = (...argument: unknown[]) => ({ 'Fn::Sub': argument.length === 1 ? argument[0] : argument });
const variable = (value: unknown) => ({ Environment: { Variables: { X: value } } });
const x = '.Environment.Variables.X';

describe('in the properties of a resource it finds', () => {
  test.each<[id: string, properties: Record<string, unknown>, fault: string]>([
    // Against the schema.
    ['Worker', { Memory: 1 }, '.Memory: is no property here'],
    ['Worker', { Arn: 'arn' }, '.Arn: is read-only'],
    ['Worker', { Code: undefined }, '.Code: is missing'],
    ['Worker', { Role: { Ref: 'AWS::NoValue' } }, '.Role: is missing'],
    ['Worker', { SnapStart: {} }, '.SnapStart.ApplyOn: is missing'],
    ['Worker', { TracingConfig: { On: true } }, '.TracingConfig.On: is no property here'],
    ['Worker', { TracingConfig: { Mode: 'On' } }, '.TracingConfig.Mode: should be one of Active, PassThrough, is "On"'],
    ['Worker', { Handler: 1 }, '.Handler: should be a text, is 1'],
    ['Worker', { Timeout: '10' }, '.Timeout: should be a whole number, is "10"'],
    ['Worker', { Timeout: 1.5 }, '.Timeout: should be a whole number, is 1.5'],
    ['Broker', { PubliclyAccessible: 'true' }, '.PubliclyAccessible: should be true or false, is "true"'],
    ['Worker', { Architectures: 'arm64' }, '.Architectures: should be a list, is "arm64"'],
    ['Worker', { Architectures: [1] }, '.Architectures[0]: should be a text, is 1'],
    ['Worker', { Environment: { Variables: 'A=B' } }, '.Environment.Variables: should be a map, is "A=B"'],
    ['Worker', { Environment: 'A=B' }, '.Environment: should be a map (Environment), is "A=B"'],
    ['Worker', variable(1), `${x}: should be a text, is 1`],
    ['Worker', { Tags: [{ Key: 'part' }] }, '.Tags[0].Value: is missing'],
    ['Role', { AssumeRolePolicyDocument: 1 }, '.AssumeRolePolicyDocument: should be JSON, is 1'],
    ['Topology', { ServiceToken: undefined }, '.ServiceToken: is missing'],
    // What an intrinsic function gives.
    ['Worker', { Role: { Ref: 'Role' } }, '.Role: should be an ARN, and {"Ref":"Role"} is none'],
    ['Worker', variable(get('Broker', 'AmqpEndpoints')), `${x}: Fn::GetAtt gives a list, not one value`],
    ['Worker', variable({ Ref: 'Zones' }), `${x}: Ref gives a list, not one value`],
    ['Worker', { Layers: { Ref: 'Name' } }, '.Layers: Ref gives one value, not a list'],
    ['Worker', { Environment: { Ref: 'Name' } }, '.Environment: Ref gives a text, not a map'],
    ['Worker', { Timeout: { 'Fn::If': ['Large', 'x', 1] } }, '.Timeout.Fn::If[1]: should be a whole number, is "x"'],
    // What it takes.
    ['Worker', variable({ 'Fn::Upper': 'x' }), `${x}: Fn::Upper is no function of CloudFormation`],
    ['Worker', variable({ 'Fn::Join': ['x', 'y'] }), `${x}: Fn::Join does not take ["x","y"]`],
    ['Worker', variable({ 'Fn::Select': [0, { Ref: 'Name' }] }), `${x}: Fn::Select does not take [0,{"Ref":"Name"}]`],
    ['Worker', variable({ 'Fn::Select': [1, ['y']] }), `${x}: Fn::Select does not take [1,["y"]]`],
    ['Worker', variable({ 'Fn::If': ['Large', 'y'] }), `${x}: Fn::If does not take ["Large","y"]`],
    ['Worker', variable(sub(1)), `${x}: Fn::Sub does not take 1`],
    [
      'Worker',
      variable(sub('${Broker.AmqpEndpoints}')),
      `${x}: Broker.AmqpEndpoints is a list, which Fn::Sub cannot put into a text`,
    ],
    ['Worker', variable('${AWS::Region}'), `${x}: \${AWS::Region} stands in a text that no Fn::Sub replaces it in`],
    ['Worker', variable('${Broker.Arn}'), `${x}: \${Broker.Arn} stands in a text that no Fn::Sub replaces it in`],
    // What it refers to.
    ['Worker', variable({ Ref: 'Nobody' }), `${x}: there is no resource or parameter Nobody`],
    ['Worker', variable(get('Nobody', 'Arn')), `${x}: there is no resource Nobody`],
    ['Worker', variable(get('Broker', 'Url')), `${x}: Broker, an AWS::AmazonMQ::Broker, has no attribute Url`],
    ['Worker', variable(sub('a ${Nobody}')), `${x}: there is no resource or parameter Nobody`],
    ['Worker', variable(sub('a ${Broker.Url}')), `${x}: Broker, an AWS::AmazonMQ::Broker, has no attribute Url`],
    [
      'Worker',
      variable(sub('${a}', { a: { Ref: 'Nobody' } })),
      `${x}.Fn::Sub[1].a: there is no resource or parameter Nobody`,
    ],
    ['Worker', variable(sub('${b}', { a: 'a' })), `${x}: there is no resource or parameter b`],
    ['Worker', variable({ 'Fn::Join': ['', ['a', sub('${No.Arn}')]] }), `${x}.Fn::Join[1][1]: there is no resource No`],
    ['Worker', variable({ 'Fn::If': ['Nothing', 'a', 'b'] }), `${x}: there is no condition Nothing`],
    ['Worker', variable({ 'Fn::FindInMap': ['Nothing', 'a', 'b'] }), `${x}: there is no mapping Nothing`],
    // Limits.
    ['Worker', variable('x'.repeat(4096)), '.Environment: has 4097 bytes, of at most 4096'],
    ['Worker', { MemorySize: 10_241 }, '.MemorySize: is not 128 to 10240'],
    ['Worker', { Timeout: 901 }, '.Timeout: is not 1 to 900'],
    ['Worker', { FunctionName: 'x'.repeat(65) }, '.FunctionName: has 65 characters, of at most 64'],
    ['Role', { RoleName: 'x'.repeat(65) }, '.RoleName: has 65 characters, of at most 64'],
    ['Broker', { BrokerName: 'x'.repeat(51) }, '.BrokerName: has 51 characters, of at most 50'],
    ['Alarm', { AlarmName: 'x'.repeat(256) }, '.AlarmName: has 256 characters, of at most 255'],
    [
      'Role',
      { Policies: [{ PolicyName: 'all', PolicyDocument: { Statement: ['x'.repeat(10_240)] } }] },
      '.Policies: have 10298 characters, of at most 10240',
    ],
  ])('%s %j', (id, properties, fault) => {
    const faults = faultsAfter(({ Resources }) => {
      const resource = Resources[id];
      if (resource !== undefined) resource.Properties = { ...resource.Properties, ...properties };
    });
    expect(faults).toEqual([`Resources.${id}.Properties${fault}`]);
  });
});

describe('in a resource it finds', () => {
  test.each<[id: string, resource: object, fault: string]>([
    ['Worker', { Type: 'AWS::Lambda::Fun' }, '.Type: AWS::Lambda::Fun is no type of CloudFormation'],
    ['Worker', { Depends: 'Broker' }, '.Depends: is no part of a resource'],
    ['Worker', { DependsOn: 'Nobody' }, '.DependsOn: there is no resource Nobody'],
    ['Worker', { DependsOn: ['Broker', 'Name'] }, '.DependsOn: there is no resource Name'],
    ['Worker', { Condition: 'Nothing' }, '.Condition: there is no condition Nothing'],
    ['Secret', { DeletionPolicy: 'Keep' }, '.DeletionPolicy: "Keep" is no DeletionPolicy'],
    [
      'Secret',
      { UpdateReplacePolicy: 'RetainExceptOnCreate' },
      '.UpdateReplacePolicy: "RetainExceptOnCreate" is no UpdateReplacePolicy',
    ],
  ])('%s %j', (id, change, fault) => {
    const faults = faultsAfter(({ Resources }) => Object.assign(Resources[id] ?? {}, change));
    expect(faults).toEqual([`Resources.${id}${fault}`]);
  });
});

test('circular dependencies are named, by whatever reference they come', () => {
  const [cycle] = faultsAfter(({ Resources }) => {
    Resources.Role = { ...Resources.Role, Type: 'AWS::IAM::Role', DependsOn: 'Topology' };
  });
  expect(cycle).toBe('Resources: a circular dependency: Role -> Topology -> Worker -> Role');
  const itself = faultsAfter(({ Resources }) => Object.assign(Resources.Secret ?? {}, { DependsOn: 'Secret' }));
  expect(itself).toEqual(['Resources: a circular dependency: Secret -> Secret']);
});

test('conditions that refer to no condition are found, in conditions and outputs', () => {
  expect(
    faultsAfter(({ Conditions }) => Object.assign(Conditions.Small, { 'Fn::Not': [{ Condition: 'No' }] })),
  ).toEqual(['Conditions.Small.Fn::Not[0]: there is no condition No']);
  expect(faultsAfter(({ Outputs }) => Object.assign(Outputs.Queue ?? {}, { Condition: 'No' }))).toEqual([
    'Outputs.Queue.Condition: there is no condition No',
  ]);
});

test('outputs have a value, of what there is', () => {
  expect(faultsAfter((template) => (template.Outputs = { Empty: {} }))).toEqual(['Outputs.Empty.Value: is missing']);
  expect(faultsAfter((template) => (template.Outputs = { Lost: { Value: { Ref: 'Nobody' } } }))).toEqual([
    'Outputs.Lost.Value: there is no resource or parameter Nobody',
  ]);
});

test('parts of a template that nobody checks are not taken', () => {
  expect(faultsAfter((template) => Object.assign(template, { Transform: 'AWS::Serverless-2016-10-31' }))).toEqual([
    'Transform: is no part of a template',
  ]);
});

describe('limits of a template', () => {
  const topics = (count: number, name = (index: number) => `Topic${index}`) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [name(index), { Type: 'AWS::SNS::Topic' }]));

  test('500 resources and 200 outputs', () => {
    expect(templateFaults({ Resources: topics(500) })).toEqual([]);
    expect(templateFaults({ Resources: topics(501) })).toEqual(['501 resources, of at most 500']);
    const Outputs = Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`Out${index}`, { Value: 'x' }]));
    expect(templateFaults({ Resources: {}, Outputs })).toEqual(['201 outputs, of at most 200']);
  });

  test('letters and digits in logical ids', () => {
    expect(templateFaults({ Resources: topics(1, () => 'my-topic') })).toEqual([
      'my-topic: a logical id has up to 255 letters and digits, and nothing else',
    ]);
  });

  test('1 MB, and 51,200 bytes for one that comes in the request', () => {
    const large = (bytes: number) => ({ Resources: {}, Metadata: { text: 'x'.repeat(bytes) } }) as Template;
    expect(templateFaults(large(900_000))).toEqual([]);
    expect(templateFaults(large(1_000_000))).toEqual([expect.stringMatching(/^\d+ bytes, of at most 1000000$/)]);
    expect(templateFaults(large(51_200), { inline: true })).toEqual([
      expect.stringMatching(/ bytes, of at most 51200$/),
    ]);
  });
});
