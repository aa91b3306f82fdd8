import type { Packaged } from '../package';
import { list, ofType, placeholders, textOf } from '../template';

/** What outlives a request: the tables; and who is told when something is wrong. */

export function keepsTheTables({ template, combination: { stage } }: Packaged): string[] {
  const isProduction = stage === 'prod';
  return ofType(template, 'AWS::DynamoDB::Table').flatMap(([id, properties]) => {
    const { BillingMode, TimeToLiveSpecification, PointInTimeRecoverySpecification, SSESpecification } = properties;
    const { DeletionPolicy, UpdateReplacePolicy } = template.Resources[id] as unknown as Record<string, unknown>;
    const policies = isProduction ? ['RetainExceptOnCreate', 'Retain'] : ['Delete', 'Delete'];
    return [
      ...(BillingMode === 'PAY_PER_REQUEST' ? [] : [`${id}: is paid ${BillingMode}`]),
      ...(TimeToLiveSpecification?.Enabled === true ? [] : [`${id}: keeps rows for ever`]),
      ...(`${DeletionPolicy} ${UpdateReplacePolicy}` === policies.join(' ')
        ? []
        : [`${id}: ${DeletionPolicy} on ${stage}`]),
      // A session as it was a minute ago contradicts what its client has seen since.
      ...(!isProduction ||
      id === 'SessionTable' ||
      PointInTimeRecoverySpecification?.PointInTimeRecoveryEnabled === true
        ? []
        : [`${id}: cannot be recovered`]),
      ...(!isProduction || SSESpecification?.SSEEnabled === true
        ? []
        : [`${id}: is not encrypted by a key of the account`]),
    ];
  });
}

export function tellsWhoIsAsked({ template, combination: { parameters } }: Packaged): string[] {
  const topics = parameters.alarmTopicArn === undefined ? [] : [parameters.alarmTopicArn];
  const alarms = ofType(template, 'AWS::CloudWatch::Alarm');
  return [
    ...(alarms.length > 0 ? [] : ['there are no alarms']),
    ...alarms
      .filter(([, { AlarmActions = [] }]) => list(AlarmActions).map(textOf).join() !== topics.join())
      .map(([id]) => `${id}: does not tell ${topics.join() || 'nobody'}`),
  ];
}

/** CloudWatch refuses another only when the stack is nearly done. */
export function showsADashboard({ template }: Packaged): string[] {
  return ofType(template, 'AWS::CloudWatch::Dashboard').flatMap(([id, { DashboardBody }]) => {
    const text = textOf(DashboardBody);
    const body = placeholders(text).reduce((filled, name) => filled.replaceAll(`\${${name}}`, 'x'), text);
    try {
      return JSON.parse(body).widgets.length > 0 ? [] : [`${id}: is empty`];
    } catch {
      return [`${id}: is no JSON`];
    }
  });
}
