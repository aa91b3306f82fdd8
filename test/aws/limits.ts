import { intrinsicOf, isMap, type Template } from './template';

/** CloudFormation's limits, and those of the services that a deployment would meet only at its end. */

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html */
const most = {
  resources: 500,
  outputs: 200,
  parameters: 200,
  mappings: 200,
  templateBytes: 1_000_000,
  /** Of a template that comes in the request, as the first one of a stack does, and not from S3. */
  inlineTemplateBytes: 51_200,
};

/** The longest name by type and property. Names that are put together by CloudFormation are not measured. */
const longestName: Record<string, [property: string, characters: number]> = {
  'AWS::Lambda::Function': ['FunctionName', 64],
  'AWS::IAM::Role': ['RoleName', 64],
  'AWS::CloudWatch::Alarm': ['AlarmName', 255],
  'AWS::CloudWatch::Dashboard': ['DashboardName', 255],
  'AWS::Logs::LogGroup': ['LogGroupName', 512],
  'AWS::DynamoDB::Table': ['TableName', 255],
  'AWS::AmazonMQ::Broker': ['BrokerName', 50],
  'AWS::SecretsManager::Secret': ['Name', 512],
  'AWS::EC2::SecurityGroup': ['GroupName', 255],
  'AWS::ApiGatewayV2::Api': ['Name', 128],
  'AWS::ApiGatewayV2::Stage': ['StageName', 128],
};

/** https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html */
const mostEnvironmentBytes = 4096;
/** All inline policies of one role, without white space; https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const mostRolePolicyCharacters = 10_240;

/** @param inline the template goes to CloudFormation in the request. */
export function limitFaults(template: Template, { inline = false } = {}): string[] {
  const { Resources, Outputs = {}, Parameters = {}, Mappings = {} } = template;
  const bytes = Buffer.byteLength(JSON.stringify(template));
  const counts: [what: string, count: number, limit: number][] = [
    ['resources', Object.keys(Resources).length, most.resources],
    ['outputs', Object.keys(Outputs).length, most.outputs],
    ['parameters', Object.keys(Parameters).length, most.parameters],
    ['mappings', Object.keys(Mappings).length, most.mappings],
    ['bytes', bytes, inline ? most.inlineTemplateBytes : most.templateBytes],
  ];
  return [
    ...counts
      .filter(([, count, limit]) => count > limit)
      .map(([what, count, limit]) => `${count} ${what}, of at most ${limit}`),
    ...[...Object.keys(Resources), ...Object.keys(Outputs), ...Object.keys(Parameters)]
      .filter((id) => !/^[A-Za-z0-9]{1,255}$/.test(id))
      .map((id) => `${id}: a logical id has up to 255 letters and digits, and nothing else`),
    ...Object.entries(Resources).flatMap(([id, { Type, Properties = {} }]) => [
      ...nameFaults(`Resources.${id}.Properties`, Type, Properties),
      ...(Type === 'AWS::Lambda::Function' ? lambdaFaults(`Resources.${id}.Properties`, Properties) : []),
      ...(Type === 'AWS::IAM::Role' ? roleFaults(`Resources.${id}.Properties`, Properties) : []),
    ]),
  ];
}

function nameFaults(path: string, type: string, properties: Record<string, unknown>): string[] {
  const [property, characters] = longestName[type] ?? ['', 0];
  const name = properties[property];
  if (typeof name !== 'string' || name.length <= characters) return [];
  return [`${path}.${property}: has ${name.length} characters, of at most ${characters}`];
}

function lambdaFaults(path: string, { Environment, MemorySize = 128, Timeout = 3 }: Record<string, unknown>): string[] {
  const variables = isMap(Environment) && isMap(Environment.Variables) ? Environment.Variables : {};
  // A reference counts as long as it is written, which is about as long as what comes of it.
  const bytes = Object.entries(variables).reduce((sum, [name, value]) => {
    const text = intrinsicOf(value) === undefined ? String(value) : JSON.stringify(value);
    return sum + Buffer.byteLength(name + text);
  }, 0);
  return [
    ...(bytes > mostEnvironmentBytes
      ? [`${path}.Environment: has ${bytes} bytes, of at most ${mostEnvironmentBytes}`]
      : []),
    ...(isOutside(MemorySize, 128, 10_240) ? [`${path}.MemorySize: is not 128 to 10240`] : []),
    ...(isOutside(Timeout, 1, 900) ? [`${path}.Timeout: is not 1 to 900`] : []),
  ];
}

function isOutside(value: unknown, least: number, most: number): boolean {
  return typeof value === 'number' && (value < least || value > most);
}

function roleFaults(path: string, { Policies = [] }: Record<string, unknown>): string[] {
  const characters = JSON.stringify(Policies).length;
  if (characters <= mostRolePolicyCharacters) return [];
  return [`${path}.Policies: have ${characters} characters, of at most ${mostRolePolicyCharacters}`];
}
