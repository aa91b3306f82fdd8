// biome-ignore-all lint/suspicious/noTemplateCurlyInString: CloudFormation writes its references like this
import type { Combination } from '../combinations';
import type { Packaged } from '../package';
import { isMap, list, ofType, type Template, textOf } from '../template';

/** What each function may do: what its code calls, what AWS does in its name, and nothing else. */

const endpoint = 'arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${WebsocketsApi}';
const rows = '${ConnectionTable.Arn}';
const sessions = '${SessionTable.Arn}';

const brokerSecret = ({ parameters }: Combination) => parameters.brokerSecretArn ?? '${BrokerSecret}';
const broker = ({ parameters }: Combination) => parameters.brokerArn ?? '${Broker.Arn}';
const connections = ({ stage }: Combination, method: string) => `${endpoint}/${stage}/${method}/@connections/*`;

type Call = [operation: string, resource: string];

const on = (resource: string, ...operations: string[]): Call[] => operations.map((operation) => [operation, resource]);
const postsAndCloses = (combination: Combination): Call[] => [
  ['PostToConnection', connections(combination, 'POST')],
  ['DeleteConnection', connections(combination, 'DELETE')],
];

/** The operations of AWS that a function's code asks for, and on what. */
const calls: Record<string, (combination: Combination) => Call[]> = {
  connect: () => [['PutItem', rows]],
  disconnect: () => [['DeleteItem', rows], ...on(sessions, 'GetItem', 'PutItem')],
  default: () => [],
  send: (combination) => [
    ...on(rows, 'UpdateItem', 'GetItem'),
    ...on(sessions, 'GetItem', 'PutItem', 'UpdateItem', 'DeleteItem'),
    ['GetSecretValue', brokerSecret(combination)],
    // A message with an expired token is answered, and its connection closed.
    ...(combination.auth === 'jwt' ? postsAndCloses(combination) : []),
  ],
  session: (combination) => [
    ...on(rows, 'UpdateItem', 'GetItem'),
    ...on(sessions, 'GetItem', 'PutItem', 'BatchGetItem', 'BatchWriteItem'),
    ...postsAndCloses(combination),
  ],
  consumer: (combination) => [
    ['DeleteItem', rows],
    ...on(sessions, 'GetItem', 'PutItem'),
    ...postsAndCloses(combination),
    ['GetSecretValue', brokerSecret(combination)],
  ],
  worker: (combination) => [['GetSecretValue', brokerSecret(combination)]],
  topology: (combination) => [['GetSecretValue', brokerSecret(combination)]],
  authorizer: ({ parameters: { jwtSecretArn } }) =>
    jwtSecretArn === undefined ? [] : [['GetSecretValue', jwtSecretArn]],
};

/** What the bundle holds and never sends: all that is done with rows is one module, and all that is done with sessions. */
const bundledOnly: Record<string, string[]> = {
  connect: ['GetItem', 'DeleteItem', 'UpdateItem'],
  disconnect: ['UpdateItem', 'BatchGetItem', 'BatchWriteItem'],
  session: ['DeleteItem'],
  consumer: ['UpdateItem', 'BatchGetItem', 'BatchWriteItem'],
};

const actions: Record<string, string> = {
  GetItem: 'dynamodb:GetItem',
  PutItem: 'dynamodb:PutItem',
  UpdateItem: 'dynamodb:UpdateItem',
  DeleteItem: 'dynamodb:DeleteItem',
  BatchGetItem: 'dynamodb:BatchGetItem',
  BatchWriteItem: 'dynamodb:BatchWriteItem',
  GetSecretValue: 'secretsmanager:GetSecretValue',
  PostToConnection: 'execute-api:ManageConnections',
  DeleteConnection: 'execute-api:ManageConnections',
};

/** What Lambda does in a function's name, which its code knows nothing of. */
const interfaces = ['ec2:CreateNetworkInterface', 'ec2:DeleteNetworkInterface', 'ec2:DescribeNetworkInterfaces'];
const addresses = ['ec2:AssignPrivateIpAddresses', 'ec2:UnassignPrivateIpAddresses'];
const inNetwork = [...interfaces, 'ec2:DescribeSubnets', ...addresses];
const readsQueue = [...interfaces, 'ec2:DescribeSubnets', 'ec2:DescribeSecurityGroups', 'ec2:DescribeVpcs'];

/** These know no narrower resource: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html */
const withoutResource = new Set([...readsQueue, ...inNetwork]);

function servicesGrant(functionKey: string, functionName: string, combination: Combination): string[] {
  const log = `arn:\${AWS::Partition}:logs:\${AWS::Region}:\${AWS::AccountId}:log-group:/aws/lambda/${functionName}:*`;
  const arn = `arn:\${AWS::Partition}:lambda:\${AWS::Region}:\${AWS::AccountId}:function:${functionName}`;
  const byItsCode = JSON.stringify({ ArnEquals: { 'lambda:SourceFunctionArn': { 'Fn::Sub': arn } } });
  const isPrivate = ['managed private', 'existing in a network'].includes(combination.broker);
  const reads = ['consumer', 'worker'].includes(functionKey);
  const runsInNetwork = isPrivate && (reads || ['send', 'topology'].includes(functionKey));
  const network = new Set([...(reads ? readsQueue : []), ...(runsInNetwork ? inNetwork : [])]);
  return [
    `logs:CreateLogStream on ${log}`,
    `logs:PutLogEvents on ${log}`,
    ...(reads ? [`mq:DescribeBroker on ${broker(combination)}`] : []),
    ...[...network].flatMap((action) => [`${action} on *`, `no ${action} on * when ${byItsCode}`]),
  ];
}

/** Functions of the template by their keys in serverless.yml. */
export function functionsOf(template: Template) {
  return ofType(template, 'AWS::Lambda::Function').map(([id, properties]) => {
    const key = id.replace(/LambdaFunction$/, '');
    return { key: key.charAt(0).toLowerCase() + key.slice(1), id, properties };
  });
}

export function grantsWhatIsCalled({ template, combination }: Packaged): string[] {
  return functionsOf(template).flatMap(({ key, properties }) => {
    const called = calls[key]?.(combination).map(([operation, resource]) => `${actions[operation]} on ${resource}`);
    if (called === undefined) return [`${key}: is not in the table of what functions call`];
    const expected = new Set([...called, ...servicesGrant(key, properties.FunctionName, combination)]);
    const role = properties.Role['Fn::GetAtt']?.[0];
    const granted = new Set(grantsOf(template, role));
    return [
      ...(role === `${key.charAt(0).toUpperCase()}${key.slice(1)}Role` ? [] : [`${key}: has not a role of its own`]),
      ...[...expected].filter((grant) => !granted.has(grant)).map((grant) => `${key}: lacks ${grant}`),
      ...[...granted].filter((grant) => !expected.has(grant)).map((grant) => `${key}: does not call ${grant}`),
    ];
  });
}

function grantsOf(template: Template, role: string): string[] {
  const { Policies = [], ManagedPolicyArns = [] } = template.Resources[role]?.Properties ?? {};
  const statements = Policies.flatMap(({ PolicyDocument }: { PolicyDocument: { Statement: unknown } }) =>
    list(PolicyDocument.Statement),
  );
  return [
    ...ManagedPolicyArns.map((arn: unknown) => `all of ${textOf(arn)}`),
    ...statements.flatMap((statement: Record<string, unknown>) =>
      list(statement.Action).flatMap((action) =>
        list(statement.Resource).map(
          (resource) => `${statement.Effect === 'Deny' ? 'no ' : ''}${action} on ${textOf(resource)}${when(statement)}`,
        ),
      ),
    ),
  ];
}

function when({ Condition }: Record<string, unknown>): string {
  return Condition === undefined ? '' : ` when ${JSON.stringify(Condition)}`;
}

/** Wherever a statement allows something: in roles, and in the policies of other resources. */
export function namesResources({ template }: Packaged): string[] {
  return Object.entries(template.Resources).flatMap(([id, { Properties }]) =>
    statementsIn(Properties)
      .filter(({ Effect }) => Effect === 'Allow')
      .flatMap((statement) => [
        ...list(statement.Action ?? '*')
          .filter((action) => String(action).includes('*'))
          .map((action) => `${id}: allows ${action}`),
        ...list(statement.Resource ?? [])
          .map(textOf)
          .filter((resource) => !/^[^*]{8,}[:/]\*$|^[^*]+$/.test(resource))
          .filter(() => !list(statement.Action).every((action) => withoutResource.has(String(action))))
          .map((resource) => `${id}: allows ${list(statement.Action)} on ${resource}`),
        ...(textOf(statement.Principal ?? '').includes('*') ? [`${id}: allows everybody`] : []),
        ...('NotAction' in statement || 'NotResource' in statement ? [`${id}: allows all but something`] : []),
      ]),
  );
}

function statementsIn(value: unknown): Record<string, unknown>[] {
  if (Array.isArray(value)) return value.flatMap(statementsIn);
  if (!isMap(value)) return [];
  return value.Effect === undefined ? Object.values(value).flatMap(statementsIn) : [value];
}

/**
 * The table above against the code: what a bundle holds is called or known to be not, and what is called is in it.
 * @param bundled the operations that are named in the bundle of each function.
 */
export function bundleFaults(bundled: ReadonlyMap<string, readonly string[]>, anyOf: readonly Combination[]): string[] {
  return [...bundled].flatMap(([key, operations]) => {
    const asked = anyOf.flatMap((combination) => calls[key]?.(combination) ?? []);
    const called = new Set(asked.map(([operation]) => operation));
    const known = new Set([...called, ...(bundledOnly[key] ?? [])]);
    return [
      ...operations.filter((name) => !known.has(name)).map((name) => `${key}: its bundle has ${name}`),
      ...[...known].filter((name) => !operations.includes(name)).map((name) => `${key}: its bundle lacks ${name}`),
    ];
  });
}
