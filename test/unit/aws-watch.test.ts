import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { describe, expect, test } from '@jest/globals';
import { alarms } from '../../infra/aws/alarms';
import { dashboard } from '../../infra/aws/dashboard';
import { functionSettings } from '../../infra/aws/functions';
import { functionId } from '../../infra/aws/intrinsics';
import { mappingId, queues } from '../../infra/aws/queues';
import type { Parameters } from '../../infra/parameters';
import { metricUnits } from '../../lib/metrics';
import { parametersOf } from '../helpers/parameters';

/** Alarms and dashboard as CloudFormation gets them, held to the metrics that exist and to docs/OPERATIONS.md. */

const root = join(__dirname, '..', '..');
const operations = readFileSync(join(root, 'docs', 'OPERATIONS.md'), 'utf8');

const small = parametersOf({});
const large = parametersOf({
  brokerAccess: 'private',
  replyShards: '4',
  auth: 'jwt',
  jwtIssuer: 'https://issuer.example',
  jwtAudience: 'gateway',
  jwksUrl: 'https://issuer.example/keys',
  alarmTopicArn: 'arn:aws:sns:eu-west-1:123456789012:on-call',
});
const existing = parametersOf({
  broker: 'existing',
  brokerArn: 'arn:aws:mq:eu-west-1:123456789012:broker:shared:b-1234a5b6-78cd-901e-2fgh-3i45j6k178l9',
  brokerSecretArn: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:shared-a1b2c3',
  brokerHost: 'b-1234a5b6-78cd-901e-2fgh-3i45j6k178l9.mq.eu-west-1.amazonaws.com',
  brokerConnections: '900',
  brokerEngineVersion: '4.2',
  sendConcurrency: 'none',
  allowedOrigins: 'https://app.example.com',
});
const deployments = { small, large, existing };

interface Seen {
  namespace: string;
  name: string;
  dimensions: Record<string, unknown>;
}

interface Query {
  Id: string;
  Expression?: string;
  MetricStat?: {
    Metric: { Namespace: string; MetricName: string; Dimensions?: { Name: string; Value: unknown }[] };
    Stat: string;
    Period: number;
  };
  ReturnData: boolean;
}

interface Alarm {
  AlarmDescription: string;
  Metrics: Query[];
  ComparisonOperator: string;
  Threshold: number;
  TreatMissingData: string;
  AlarmActions?: string[];
}

interface Widget {
  type: string;
  x: number;
  y: number;
  width: number;
  height: number;
  properties: {
    title: string;
    region: string;
    alarms: string[];
    metrics: unknown[][];
    annotations?: { horizontal: { label: string; value: number }[] };
  };
}

interface Options {
  id?: string;
  expression?: string;
  label: string;
}

describe.each(Object.entries(deployments))('on the %s deployment', (_, parameters) => {
  test('every metric is one that the functions write, or AWS', () => {
    const seen = [...alarmMetrics(parameters), ...dashboardMetrics(parameters)];
    const unknown = seen.filter((metric) => !exists(metric, parameters));
    expect(seen.length).toBeGreaterThan(50);
    expect(unknown).toEqual([]);
  });

  test('every metric of a function is of one that is deployed', () => {
    const deployed = Object.keys(functionSettings(parameters)).map(functionId);
    for (const { dimensions } of alarmMetrics(parameters)) {
      const { FunctionName } = dimensions as { FunctionName?: { Ref: string } };
      if (FunctionName !== undefined) expect(deployed).toContain(FunctionName.Ref);
    }
  });

  test('every alarm names a section of the handbook, and that says what to do', () => {
    for (const { AlarmDescription } of alarmsOf(parameters)) {
      const [, section = ''] = /^\S.*\. docs\/OPERATIONS\.md#([\w-]+)$/.exec(AlarmDescription) ?? [];
      const text = sections(operations)[section];
      expect([AlarmDescription, text]).toEqual([AlarmDescription, expect.stringContaining('**What to do')]);
    }
  });

  test('no alarm is set off where nothing happens', () => {
    for (const alarm of alarmsOf(parameters)) {
      expect(alarm.TreatMissingData).toBe('notBreaching');
      expect(alarm.ComparisonOperator).toBe('GreaterThanThreshold');
      // The broker has connections and memory in use, dead letters that nobody has looked at, and the mappings as consumers.
      const idle = { allowed: 1e9, used: 3e8, connections: 12, consumers: 1, ready: 7, 'DIFF(ready)': 0 };
      expect(watched(alarm, idle)).toBeLessThanOrEqual(alarm.Threshold);
    }
  });

  test('each alarm watches one series, of at most ten metrics', () => {
    for (const { Metrics } of alarmsOf(parameters)) {
      expect(Metrics.filter(({ ReturnData }) => ReturnData)).toHaveLength(1);
      expect(Metrics.filter(({ MetricStat }) => MetricStat).length).toBeLessThanOrEqual(10);
      for (const { Id } of Metrics) expect(Id).toMatch(/^[a-z]\w*$/);
    }
  });

  test('the dashboard shows every alarm and every metric of the functions', () => {
    const [states] = widgets(parameters);
    expect(states?.properties.alarms).toEqual(Object.keys(alarms(parameters)).map((id) => `<${id}.Arn>`));
    const own = dashboardMetrics(parameters).filter(({ namespace }) => !namespace.startsWith('AWS/'));
    expect(new Set(own.map(({ name }) => name))).toEqual(new Set(Object.keys(metricUnits)));
  });

  test('the dashboard is a grid without gaps and overlaps, and its expressions know their metrics', () => {
    const cells = widgets(parameters).flatMap(({ x, y, width, height }) =>
      Array.from({ length: width * height }, (_, i) => `${x + (i % width)},${y + Math.floor(i / width)}`),
    );
    const rows = cells.map((cell) => Number(cell.split(',')[1]));
    expect(new Set(cells).size).toBe(cells.length);
    expect(cells.length).toBe(24 * (Math.max(...rows) + 1));
    expect(cells.every((cell) => Number(cell.split(',')[0]) < 24)).toBe(true);
    for (const { properties } of widgets(parameters)) {
      const options = (properties.metrics ?? []).map((row) => row.at(-1) as Options);
      const ids = options.flatMap(({ id }) => id ?? []);
      for (const { expression = '' } of options) expect(ids).toEqual(expression.match(/\b[a-z]\w*/g) ?? ids);
    }
  });
});

describe('replies that wait', () => {
  const [stalled = nothing()] = alarmsOf(small).filter(({ AlarmDescription }) =>
    AlarmDescription.includes('#replies-stalled'),
  );

  test.each([
    ['few, and the consumer does not run', { waiting: 3, consumers: 1 }, true],
    ['few, and nothing takes from their queue while others are served', { waiting: 3, consumers: 0, runs: 600 }, true],
    ['more than the consumer could have taken', { waiting: 5000, consumers: 1, runs: 20 }, true],
    ['as many as are on their way at any moment', { waiting: 150, consumers: 1, runs: 300 }, false],
    ['none, and the mapping is gone', { waiting: 0, consumers: 0 }, false],
  ])('%s', (_, values, isStalled) => {
    expect(watched(stalled, values) > stalled.Threshold).toBe(isStalled);
  });

  test('are watched in each shard, with the batch that the mappings have', () => {
    const names = Object.keys(alarms(large)).filter((id) => id.startsWith('RepliesStalled'));
    expect(names).toEqual([0, 1, 2, 3].map((shard) => `RepliesStalledAlarm${shard || ''}`));
    const mapping = queues(large)[mappingId('Consumer', 'ws_queue')]?.Properties as { BatchSize: number };
    const expressions = alarmsOf(large).map(({ Metrics }) => Metrics[0]?.Expression ?? '');
    expect(expressions.filter((text) => text.includes(`waiting > ${mapping.BatchSize} * runs / 4`))).toHaveLength(4);
  });

  test('are seen in the growth of all queues, where the broker tells of no single one', () => {
    const [onFour = nothing(), ...others] = alarmsOf(existing).filter(({ AlarmDescription }) =>
      AlarmDescription.includes('#replies-stalled'),
    );
    expect(others).toEqual([]);
    const state = (values: Record<string, number>) => watched(onFour, values) > onFour.Threshold;
    expect(state({ sends: 40, 'DIFF(ready)': 40 })).toBe(true);
    expect(state({ sends: 40, 'DIFF(ready)': 40, runs: 40 })).toBe(false);
    expect(state({ sends: 0, 'DIFF(ready)': 40 })).toBe(false);
  });
});

describe('refusals of the authorizer', () => {
  const [refused = nothing()] = alarmsOf(large).filter(({ AlarmDescription }) =>
    AlarmDescription.includes('#authorizer'),
  );

  test.each([
    ['most of many', { asked: 100, errors: 60 }, true],
    ['some of many', { asked: 100, errors: 30 }, false],
    ['all of a few', { asked: 5, errors: 5 }, false],
  ])('%s', (_, values, isAlarm) => {
    expect(watched(refused, values) > refused.Threshold).toBe(isAlarm);
  });

  test('are watched only where there is an authorizer', () => {
    const ids = Object.values(deployments).map((parameters) => 'AuthorizerErrorsAlarm' in alarms(parameters));
    expect(ids).toEqual([false, true, true]);
  });
});

test('an alarm is sent to the topic, where there is one', () => {
  for (const alarm of alarmsOf(large)) expect(alarm.AlarmActions).toEqual([large.alarmTopicArn]);
  for (const alarm of alarmsOf(small)) expect(alarm).not.toHaveProperty('AlarmActions');
});

test("the limits are the broker's and send's, in the alarm and on the dashboard", () => {
  const limits = (parameters: Parameters, title: string) =>
    widgets(parameters).find(({ properties }) => properties.title === title)?.properties.annotations?.horizontal;
  expect(limits(existing, 'Broker: connections')?.map(({ value }) => value)).toEqual([900, 720]);
  expect(alarms(existing).BrokerConnectionsAlarm?.Properties).toMatchObject({ Threshold: 720 });
  expect(limits(small, 'Concurrent runs of functions')?.[0]?.value).toBe(small.sendConcurrency);
  expect(limits(existing, 'Concurrent runs of functions')).toBeUndefined();
});

test('a queue may be called anything', () => {
  const odd = { ...small, apiQueue: `a\${AWS::Region}"\${!b}\\` };
  const depths = widgets(odd).at(-1)?.properties.metrics[0];
  expect(depths).toEqual(expect.arrayContaining([odd.apiQueue]));
});

describe('the handbook', () => {
  test('says of every metric what it counts, and in what', () => {
    const rows = [...operations.matchAll(/^\| `(\w+)` +\| (\w+) +\|/gm)].map(([, name, unit]) => [name, unit]);
    expect(Object.fromEntries(rows)).toEqual(metricUnits);
  });

  test('asks the logs for messages that the code writes', () => {
    const code = ['lib', 'functions'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts'))
        .map((file) => readFileSync(join(root, folder, file), 'utf8')),
    );
    const asked = [...operations.matchAll(/message = "([^"]+)"/g)].map(([, message = '']) => message);
    expect(asked.length).toBeGreaterThan(3);
    for (const message of asked)
      expect([message, code.some((text) => text.includes(`'${message}'`))]).toEqual([message, true]);
  });

  test('has no link into nowhere', () => {
    const anchors = Object.keys(sections(operations));
    for (const [, anchor] of operations.matchAll(/\]\(#([\w-]+)\)/g)) expect(anchors).toContain(anchor);
  });
});

function alarmsOf(parameters: Parameters): Alarm[] {
  return Object.values(alarms(parameters)).map(({ Properties }) => Properties as unknown as Alarm);
}

/** For what must be there. */
function nothing(): never {
  throw new Error('it is not there');
}

function alarmMetrics(parameters: Parameters): Seen[] {
  return alarmsOf(parameters).flatMap(({ Metrics }) =>
    Metrics.flatMap(({ MetricStat }) => {
      if (MetricStat === undefined) return [];
      const { Namespace, MetricName, Dimensions = [] } = MetricStat.Metric;
      const dimensions = Object.fromEntries(Dimensions.map(({ Name, Value }) => [Name, Value]));
      return [{ namespace: Namespace, name: MetricName, dimensions }];
    }),
  );
}

function dashboardMetrics(parameters: Parameters): Seen[] {
  const rows = widgets(parameters).flatMap(({ properties }) => properties.metrics ?? []);
  return rows.flatMap(([namespace, name, ...rest]) => {
    if (typeof namespace !== 'string') return [];
    const dimensions = Object.fromEntries(
      rest.slice(0, -1).flatMap((text, i) => (i % 2 === 0 ? [[text, rest[i + 1]]] : [])),
    );
    return [{ namespace, name: name as string, dimensions }];
  });
}

/** The body after CloudFormation's substitution: a reference as `<LogicalId>`. */
function widgets(parameters: Parameters): Widget[] {
  const { Dashboard = nothing() } = dashboard(parameters);
  const { DashboardBody } = Dashboard.Properties as { DashboardBody: { 'Fn::Sub': string } };
  const body = DashboardBody['Fn::Sub'].replace(/\$\{(!?)([^}]*)\}/g, (_, escaped, name) =>
    escaped ? `\${${name}}` : `<${name}>`,
  );
  return JSON.parse(body).widgets;
}

/** What CloudWatch makes of the metrics' values in a period; a metric that is not given has none, which counts as 0. */
function watched({ Metrics }: Alarm, values: Record<string, number>): number {
  const ids = Metrics.flatMap(({ Id, MetricStat }) => (MetricStat === undefined ? [] : [Id]));
  const value = (id: string) => String(values[id] ?? 0);
  const { Expression = ids.join() } = Metrics.find(({ ReturnData }) => ReturnData) ?? nothing();
  const script = Expression.replace('SUM(METRICS())', ids.join('+'))
    .replace(/DIFF\(\w+\)/g, (text) => `(${value(text)})`)
    .replaceAll('AND', '&&')
    .replaceAll('OR', '||')
    .replace(/^IF\((.*), (.*), (.*)\)$/, '($1) ? ($2) : ($3)')
    .replace(/\b[a-z]\w*/g, (id) => (ids.includes(id) ? value(id) : nothing()));
  return Number(new Function(`return ${script}`)());
}

/** The text of each section by the anchor that GitHub gives it. */
function sections(markdown: string): Record<string, string> {
  const [, ...parts] = markdown.split(/^#+ /m);
  return Object.fromEntries(
    parts.map((part) => {
      const [heading = ''] = part.split('\n');
      const anchor = heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-');
      return [anchor, part];
    }),
  );
}

/**
 * Beside AWS's list, which lacks them: https://docs.aws.amazon.com/amazon-mq/latest/developer-guide/rabbitmq-logging-monitoring.html
 */
const ofRabbitMq: Record<string, string[]> = {
  RabbitMQMemLimit: ['Broker'],
  RabbitMQMemUsed: ['Broker'],
};
const ofRabbitMqQueues = ['ConsumerCount', 'MessageCount', 'MessageReadyCount', 'MessageUnacknowledgedCount'];

const spec = loadAwsServiceSpecSync();

function exists({ namespace, name, dimensions }: Seen, { service, stage, broker }: Parameters): boolean {
  const names = Object.keys(dimensions).sort().join();
  if (namespace === `${service}-${stage}`) return name in metricUnits && names === '';
  if (namespace === 'AWS/AmazonMQ') {
    if (dimensions.Broker !== broker.name) return false;
    if (broker.engineVersion === '3.13' && ofRabbitMqQueues.includes(name) && names === 'Broker,Queue,VirtualHost')
      return true;
    if (ofRabbitMq[name]?.join() === names) return true;
  }
  return spec
    .lookup('metric', 'name', 'equals', name)
    .filter((metric) => metric.namespace === namespace)
    .flatMap((metric) => spec.follow('usesDimensionSet', metric))
    .some(
      ({ entity }) =>
        entity.dimensions
          .map((dimension) => dimension.name)
          .sort()
          .join() === names,
    );
}
