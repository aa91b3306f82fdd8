import type { Combination } from '../combinations';
import type { Packaged } from '../package';
import { isMap, list, ofType } from '../template';
import { functionsOf } from './permissions';

/** Lambda functions: what they run on, where they log, how many run at once. */

/** API Gateway waits no longer for an answer. */
const mostRouteSeconds = 29;
/** https://docs.aws.amazon.com/lambda/latest/dg/with-mq.html */
const mostQueueSeconds = 14 * 60;

export function runsOnArm({ template }: Packaged): string[] {
  return functionsOf(template).flatMap(({ key, properties: { Architectures, Runtime, Timeout, MemorySize } }) => {
    const most = ['consumer', 'worker', 'topology'].includes(key) ? mostQueueSeconds : mostRouteSeconds;
    return [
      ...(Runtime === 'nodejs22.x' ? [] : [`${key}: runs on ${Runtime}`]),
      ...(JSON.stringify(Architectures) === '["arm64"]' ? [] : [`${key}: runs on ${Architectures}`]),
      ...(Timeout <= most ? [] : [`${key}: may take ${Timeout} s, of at most ${most}`]),
      ...(MemorySize >= 256 ? [] : [`${key}: has ${MemorySize} MB`]),
    ];
  });
}

export function logsEnd({ template }: Packaged): string[] {
  const groups = ofType(template, 'AWS::Logs::LogGroup');
  return [
    ...groups
      .filter(([, { RetentionInDays }]) => RetentionInDays !== 30)
      .map(([id, { RetentionInDays }]) => `${id}: keeps logs for ${RetentionInDays} days`),
    ...functionsOf(template).flatMap(({ key, id, properties: { FunctionName } }) => {
      const group = groups.find(([, { LogGroupName }]) => LogGroupName === `/aws/lambda/${FunctionName}`);
      if (group === undefined) return [`${key}: has no log group`];
      // Else the function's first run may make the group, and CloudFormation fails on what exists.
      return list(template.Resources[id]?.DependsOn).includes(group[0])
        ? []
        : [`${key}: does not wait for its log group`];
    }),
  ];
}

/** In an update, too: what knows of no sessions would take one for a connection. */
export function opensSessionsLast({ template }: Packaged): string[] {
  const awaited = list(template.Resources.SessionLambdaFunction?.DependsOn ?? []);
  return ['SendLambdaFunction', 'ConsumerLambdaFunction']
    .filter((id) => !awaited.includes(id))
    .map((id) => `session: does not wait for ${id}`);
}

/** https://docs.aws.amazon.com/amazon-mq/latest/developer-guide/rabbitmq-resource-limits.html */
const connectionLimits: Record<string, number> = { 'mq.m7g.medium': 300, 'mq.m7g.large': 5000 };
/** Of an account; at least 100 must stay unreserved. */
const accountConcurrency = 1000;

export function sendsWithinTheLimit({ template, combination }: Packaged): string[] {
  const { ReservedConcurrentExecutions } = template.Resources.SendLambdaFunction?.Properties ?? {};
  const limit = Math.min(connectionLimit(template.Resources.Broker?.Properties, combination), accountConcurrency - 100);
  if (Number.isInteger(ReservedConcurrentExecutions) && ReservedConcurrentExecutions < limit) return [];
  return [`send: ${ReservedConcurrentExecutions} at once, and must be below ${limit}`];
}

function connectionLimit(broker: Record<string, unknown> | undefined, { parameters }: Combination): number {
  return broker === undefined
    ? Number(parameters.brokerConnections)
    : (connectionLimits[String(broker.HostInstanceType)] ?? 0);
}

/** Functions that speak AMQP run where the broker can be reached, the others outside, where nothing is paid for a way out. */
export function runsWhereItReaches({ template, combination: { broker } }: Packaged): string[] {
  const isPrivate = ['managed private', 'existing in a network'].includes(broker);
  return functionsOf(template).flatMap(({ key, properties: { Environment, VpcConfig } }) => {
    const speaksAmqp = isMap(Environment?.Variables) && 'AMQP_URL' in Environment.Variables;
    if ((VpcConfig !== undefined) === (isPrivate && speaksAmqp)) return [];
    return [`${key}: runs ${VpcConfig === undefined ? 'outside the network' : 'in the network'}`];
  });
}
