// biome-ignore-all lint/suspicious/noTemplateCurlyInString: CloudFormation writes its references like this
import { mappingId } from '../../infra/aws/queues';
import type { Template } from './template';

/** What the rules are there to find: mistakes in deployments that are right, for each rule at least one, and what it says. */

// biome-ignore lint/suspicious/noExplicitAny: CloudFormation has 1,800 types
type Properties = Record<string, any>;

export interface Mistake {
  rule: string;
  /** The name of the combination. */
  deployment: string;
  /** @param of the properties of a resource. */
  make(of: (id: string) => Properties, template: Template): void;
  fault: string;
}

const mappings = ['ws_queue', 'ws_queue.1', 'ws_queue.2', 'ws_queue.3'].map((queue) => mappingId('Consumer', queue));
const [mapping0 = '', mapping1 = '', mapping2 = '', mapping3 = ''] = mappings;
const publicly = 'dev, managed public, 1 shard, no auth';
const privately = 'prod, managed private, 4 shards, jwt';

const statements = (role: Properties): unknown[] => role.Policies[0].PolicyDocument.Statement;
const allow = (Action: string, Resource: unknown = { 'Fn::GetAtt': ['ConnectionTable', 'Arn'] }) => ({
  Effect: 'Allow',
  Action,
  Resource,
});

export const mistakes: Mistake[] = [
  ...on('it is a template that CloudFormation takes', publicly, [
    [
      (of) => Object.assign(of('Broker'), { Engine: 'RABBITMQ' }),
      'Resources.Broker.Properties.Engine: is no property here',
    ],
  ]),
  ...on('each function may do what its code calls, and no more', publicly, [
    [
      (of) => statements(of('ConnectRole')).push(allow('dynamodb:Scan')),
      'connect: does not call dynamodb:Scan on ${ConnectionTable.Arn}',
    ],
    [
      (of) => statements(of('ConnectRole')).push(allow('dynamodb:GetItem', { 'Fn::GetAtt': ['SessionTable', 'Arn'] })),
      'connect: does not call dynamodb:GetItem on ${SessionTable.Arn}',
    ],
    [(of) => statements(of('ConsumerRole')).pop(), 'consumer: lacks no ec2:CreateNetworkInterface on *'],
    [(of) => statements(of('ConnectRole')).pop(), 'connect: lacks dynamodb:PutItem on ${ConnectionTable.Arn}'],
    [
      (of) => Object.assign(of('DefaultRole'), { ManagedPolicyArns: ['arn:aws:iam::aws:policy/All'] }),
      'default: does not call all of arn:aws:iam::aws:policy/All',
    ],
    [
      (of) => Object.assign(of('TopologyLambdaFunction'), { Role: { 'Fn::GetAtt': ['SendRole', 'Arn'] } }),
      'topology: has not a role of its own',
    ],
  ]),
  ...on('whatever is allowed is allowed on a resource by its name', publicly, [
    [(of) => statements(of('ConnectRole')).push(allow('dynamodb:*')), 'ConnectRole: allows dynamodb:*'],
    [(of) => statements(of('ConnectRole')).push(allow('s3:GetObject', '*')), 'ConnectRole: allows s3:GetObject on *'],
    [
      (of) => statements(of('ConnectRole')).push(allow('s3:GetObject', 'arn:aws:s3:*:*:bucket')),
      'ConnectRole: allows s3:GetObject on arn:aws:s3:*:*:bucket',
    ],
    [
      (of) => Object.assign(of('ConnectRole').AssumeRolePolicyDocument.Statement[0], { Principal: { AWS: '*' } }),
      'ConnectRole: allows everybody',
    ],
  ]),
  ...on('no secret stands in plain text', publicly, [
    [
      (of) => Object.assign(of('SendLambdaFunction').Environment.Variables, { DB_PASSWORD: 'hunter2' }),
      'Resources.SendLambdaFunction.Properties.Environment.Variables.DB_PASSWORD: is a text',
    ],
    [
      (of) => Object.assign(of('SendLambdaFunction').Environment.Variables, { AMQP_URL: 'amqps://me:it@host' }),
      'Resources.SendLambdaFunction.Properties.Environment.Variables.AMQP_URL: is a URL with credentials',
    ],
    [
      (of) => Object.assign(of('Broker').Users[0], { Password: 'hunter2' }),
      'Resources.Broker.Properties.Users[0].Password: is not read from the secret',
    ],
    [
      (_, template) => Object.assign(template.Outputs ?? {}, { Login: { Value: '{{resolve:secretsmanager:x}}' } }),
      'Outputs.Login.Value: resolves a secret',
    ],
  ]),
  ...on('every queue is declared before it is read, and every reply queue is read once', privately, [
    [(of) => of('Topology').Queues.pop(), 'the topology declares '],
    [
      (_, { Resources }) => Object.assign(Resources.SendLambdaFunction ?? {}, { DependsOn: ['SendLogGroup'] }),
      'send: does not wait for Topology',
    ],
    [(of) => Object.assign(of(mapping3), { Queues: ['other'] }), `${mapping3}: nobody declares other`],
    [
      (_, { Resources }) => Object.assign(Resources[mapping1] ?? {}, { DependsOn: [] }),
      `${mapping1}: does not wait for Topology`,
    ],
    [(_, { Resources }) => delete Resources[mapping2], 'the consumer reads ws_queue, ws_queue.1, ws_queue.3, and '],
    [
      (of) => Object.assign(of(mapping0), { MaximumBatchingWindowInSeconds: 1 }),
      `${mapping0}: waits for a batch to fill`,
    ],
  ]),
  ...on('functions run on ARM and Node 22, within the time that their caller waits', publicly, [
    [(of) => delete of('SendLambdaFunction').Architectures, 'send: runs on undefined'],
    [(of) => Object.assign(of('SendLambdaFunction'), { Runtime: 'nodejs18.x' }), 'send: runs on nodejs18.x'],
    [(of) => Object.assign(of('SendLambdaFunction'), { Timeout: 30 }), 'send: may take 30 s, of at most 29'],
  ]),
  ...on('functions run where they reach the broker, and only those that use it', privately, [
    [(of) => delete of('ConsumerLambdaFunction').VpcConfig, 'consumer: runs outside the network'],
    [
      (of) => Object.assign(of('ConnectLambdaFunction'), { VpcConfig: of('SendLambdaFunction').VpcConfig }),
      'connect: runs in the network',
    ],
  ]),
  ...on('logs end', publicly, [
    [(of) => delete of('SendLogGroup').RetentionInDays, 'SendLogGroup: keeps logs for undefined days'],
    [(_, { Resources }) => delete Resources.SendLogGroup, 'send: has no log group'],
  ]),
  ...on('nobody opens a session before all functions know of sessions', publicly, [
    [
      (_, { Resources }) =>
        Object.assign(Resources.SessionLambdaFunction ?? {}, { DependsOn: ['SessionLogGroup', 'SendLambdaFunction'] }),
      'session: does not wait for ConsumerLambdaFunction',
    ],
  ]),
  ...on('send opens fewer connections than the broker takes', publicly, [
    [(of) => Object.assign(of('SendLambdaFunction'), { ReservedConcurrentExecutions: 5000 }), 'send: 5000 at once'],
    [(of) => delete of('SendLambdaFunction').ReservedConcurrentExecutions, 'send: undefined at once'],
  ]),
  ...on('the stage is throttled', publicly, [
    [
      (of) => delete of('WebsocketsDeploymentStage').DefaultRouteSettings.ThrottlingBurstLimit,
      'WebsocketsDeploymentStage: takes 5000 requests/s, undefined at once',
    ],
  ]),
  ...on('access logs tell nothing of what clients send, and no account is changed for them', privately, [
    [
      (of) =>
        Object.assign(of('WebsocketsDeploymentStage').AccessLogSettings, {
          Format: '{"a":"$context.identity.sourceIp"}',
        }),
      'WebsocketsDeploymentStage: logs $context.identity.sourceIp',
    ],
    [
      (of) => Object.assign(of('WebsocketsDeploymentStage').DefaultRouteSettings, { LoggingLevel: 'INFO' }),
      'WebsocketsDeploymentStage: logs executions, bodies and tokens with them',
    ],
    [
      (_, { Resources }) => Object.assign(Resources, { Account: { Type: 'AWS::ApiGateway::Account' } }),
      'Account: is a AWS::ApiGateway::Account, which reaches beyond the stack',
    ],
  ]),
  ...on('who connects is asked where it is said, and nowhere else', privately, [
    [(of) => Object.assign(of('SconnectWebsocketsRoute'), { AuthorizationType: 'NONE' }), '$connect: is open'],
    [
      (of) =>
        Object.assign(of('AuthorizerWebsocketsAuthorizer'), { IdentitySource: ['route.request.querystring.token'] }),
      'AuthorizerWebsocketsAuthorizer: wants route.request.querystring.token',
    ],
  ]),
  ...on('only this API calls the functions of its routes', publicly, [
    [
      (of) => delete of('SendLambdaPermissionWebsockets').SourceArn,
      'SendLambdaPermissionWebsockets: lets apigateway.amazonaws.com call from anywhere',
    ],
  ]),
  ...on('the network is as public as it is said to be', privately, [
    [(of) => Object.assign(of('Broker'), { PubliclyAccessible: true }), 'Broker: is public'],
    [
      (of) => Object.assign(of('Broker'), { SubnetIds: [{ Ref: 'PublicSubnet1' }, { Ref: 'PrivateSubnet2' }] }),
      'Broker: is in ${PublicSubnet1}, which is public',
    ],
    [
      (of) => Object.assign(of('BrokerSecurityGroup').SecurityGroupIngress[0], { CidrIp: '0.0.0.0/0' }),
      'BrokerSecurityGroup: admits other than a group of ours on 5671',
    ],
    [
      (_, { Resources }) => Object.assign(Resources.Topology ?? {}, { DependsOn: [] }),
      'Topology: does not wait for PrivateRoute1, without which its function reaches nothing, nor at removal',
    ],
  ]),
  ...on('the tables are kept in production, and connections can be recovered', privately, [
    [
      (_, { Resources }) => Object.assign(Resources.ConnectionTable ?? {}, { DeletionPolicy: 'Delete' }),
      'ConnectionTable: Delete on prod',
    ],
    [(of) => delete of('ConnectionTable').PointInTimeRecoverySpecification, 'ConnectionTable: cannot be recovered'],
    [
      (of) => delete of('ConnectionTable').SSESpecification,
      'ConnectionTable: is not encrypted by a key of the account',
    ],
    [(of) => delete of('SessionTable').TimeToLiveSpecification, 'SessionTable: keeps rows for ever'],
  ]),
  ...on('alarms tell the topic', privately, [
    [
      (of) => delete of('DeadLettersAlarm').AlarmActions,
      'DeadLettersAlarm: does not tell arn:aws:sns:us-east-1:123456789012:alarms',
    ],
  ]),
  ...on('the dashboard is one', publicly, [
    [(of) => Object.assign(of('Dashboard'), { DashboardBody: '{"widgets":' }), 'Dashboard: is no JSON'],
  ]),
];

function on(rule: string, deployment: string, each: [make: Mistake['make'], fault: string][]): Mistake[] {
  return each.map(([make, fault]) => ({ rule, deployment, make, fault }));
}
