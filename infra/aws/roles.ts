import type { Parameters } from '../parameters';
import { brokerArn, brokerSecretArn } from './broker';
import { getAtt, type Resources, roleId, sub, type Value } from './intrinsics';
import { vpcConfig } from './network';

/** One role a function, each with what its code calls and no more. */

interface Statement {
  Effect: 'Allow' | 'Deny';
  Action: string[];
  Resource: Value;
  Condition?: { ArnEquals: Record<string, Value> };
}

/** What a function's code calls, apart from its log. */
function calls(parameters: Parameters): Record<string, Statement[]> {
  const { auth } = parameters;
  const inTable = (id: string, actions: string[]) =>
    allow(
      actions.map((action) => `dynamodb:${action}`),
      getAtt(id, 'Arn'),
    );
  const rows = (...actions: string[]) => inTable('ConnectionTable', actions);
  const sessions = (...actions: string[]) => inTable('SessionTable', actions);
  const connections = (method: string) =>
    allow(['execute-api:ManageConnections'], sub(`${managementArn(parameters)}/${method}/@connections/*`));
  const postAndClose = [connections('POST'), connections('DELETE')];
  const logIn = allow(['secretsmanager:GetSecretValue'], brokerSecretArn(parameters));
  const inVpc = vpcConfig(parameters) === undefined ? [] : [networkInterfaces];
  // What the event source mapping does in the function's name, beside logging in.
  const readQueue = [allow(['mq:DescribeBroker'], brokerArn(parameters)), mappingNetwork];
  return {
    connect: [rows('PutItem')],
    disconnect: [rows('DeleteItem'), sessions('GetItem', 'PutItem')],
    default: [],
    send: [
      rows('UpdateItem', 'GetItem'),
      sessions('GetItem', 'PutItem', 'UpdateItem', 'DeleteItem'),
      logIn,
      ...inVpc,
      ...(auth.mode === 'jwt' ? postAndClose : []),
    ],
    session: [
      rows('UpdateItem', 'GetItem'),
      sessions('GetItem', 'PutItem', 'BatchGetItem', 'BatchWriteItem'),
      ...postAndClose,
    ],
    consumer: [rows('DeleteItem'), sessions('GetItem', 'PutItem'), ...postAndClose, logIn, ...inVpc, ...readQueue],
    worker: [logIn, ...inVpc, ...readQueue],
    topology: [logIn, ...inVpc],
    authorizer:
      auth.mode === 'jwt' && 'secretArn' in auth.keys
        ? [allow(['secretsmanager:GetSecretValue'], auth.keys.secretArn)]
        : [],
  };
}

export function roles(parameters: Parameters, functionKeys: readonly string[]): Resources {
  const needs = calls(parameters);
  return Object.fromEntries(
    functionKeys.map((key) => {
      const statements = needs[key] ?? [];
      return [
        roleId(key),
        {
          Type: 'AWS::IAM::Role',
          Properties: {
            AssumeRolePolicyDocument: {
              Version: '2012-10-17',
              Statement: [
                { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
              ],
            },
            Policies: [
              {
                PolicyName: key,
                PolicyDocument: {
                  Version: '2012-10-17',
                  Statement: [writeLog(parameters, key), ...statements, ...denials(parameters, key, statements)],
                },
              },
            ],
          },
        },
      ];
    }),
  );
}

function writeLog(parameters: Parameters, functionKey: string): Statement {
  const group = `/aws/lambda/${functionName(parameters, functionKey)}`;
  return allow(
    ['logs:CreateLogStream', 'logs:PutLogEvents'],
    sub(`arn:\${AWS::Partition}:logs:\${AWS::Region}:\${AWS::AccountId}:log-group:${group}:*`),
  );
}

/** As the framework names it. */
function functionName({ service, stage }: Parameters, functionKey: string): string {
  return `${service}-${stage}-${functionKey}`;
}

function managementArn({ stage }: Parameters): string {
  return `arn:\${AWS::Partition}:execute-api:\${AWS::Region}:\${AWS::AccountId}:\${WebsocketsApi}/${stage}`;
}

const interfaces = ['ec2:CreateNetworkInterface', 'ec2:DeleteNetworkInterface', 'ec2:DescribeNetworkInterfaces'];

/** Lambda asks for it of a function in a network, https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html */
const networkInterfaces = allow(
  [...interfaces, 'ec2:DescribeSubnets', 'ec2:AssignPrivateIpAddresses', 'ec2:UnassignPrivateIpAddresses'],
  '*',
);

/**
 * What Lambda does in the function's name is not for the code of the function, which could delete any network interface of
 * the account: https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
 */
function denials(parameters: Parameters, functionKey: string, statements: readonly Statement[]): Statement[] {
  const actions = statements.filter(({ Resource }) => Resource === '*').flatMap(({ Action }) => Action);
  if (actions.length === 0) return [];
  // By its name, for the function itself refers to its role.
  const arn = `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:${functionName(parameters, functionKey)}`;
  return [
    {
      Effect: 'Deny',
      Action: [...new Set(actions)],
      Resource: '*',
      Condition: { ArnEquals: { 'lambda:SourceFunctionArn': sub(arn) } },
    },
  ];
}

/** AWS asks for these of every Amazon MQ mapping, and they know no narrower resource. */
const mappingNetwork = allow(
  [...interfaces, 'ec2:DescribeSecurityGroups', 'ec2:DescribeSubnets', 'ec2:DescribeVpcs'],
  '*',
);

function allow(Action: string[], Resource: Value): Statement {
  return { Effect: 'Allow', Action, Resource };
}
