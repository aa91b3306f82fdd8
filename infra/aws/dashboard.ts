import type { MetricName } from '../../lib/metrics';
import type { Parameters } from '../parameters';
import { topology } from '../topology';
import { alarms, highShare } from './alarms';
import { functionSettings } from './functions';
import { type Resources, sub } from './intrinsics';
import { hasQueueMetrics, type Metric, ofApi, ofBroker, ofFunction, ofGateway, ofQueue, ofTable } from './metrics';

/**
 * One page that shows whether a stage is well: its alarms, what clients and services see, the functions, the broker. A
 * limit is drawn where its metric is.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
 */

interface Tile {
  type: 'alarm' | 'metric';
  width: number;
  properties: Record<string, unknown>;
}

interface Graph {
  title: string;
  lines: Line[];
  stacked?: boolean;
  limits?: Limit[];
}

type Line = { label: string } & ({ metric: Metric; stat: string; id?: string; hidden?: true } | { expression: string });

interface Limit {
  label: string;
  value: number;
}

const rowWidth = 24;
const tileWidth = 8;
const tileHeight = 6;

export function dashboard(parameters: Parameters): Resources {
  const { service, stage } = parameters;
  const tiles = [alarmStates(parameters), ...graphs(parameters).map(tile)];
  return {
    Dashboard: {
      Type: 'AWS::CloudWatch::Dashboard',
      Properties: {
        DashboardName: `${service}-${stage}`,
        DashboardBody: sub(JSON.stringify({ widgets: laidOut(tiles) })),
      },
    },
  };
}

function alarmStates(parameters: Parameters): Tile {
  const arns = Object.keys(alarms(parameters)).map((id) => `\${${id}.Arn}`);
  return { type: 'alarm', width: rowWidth - tileWidth, properties: { title: 'Alarms', alarms: arns } };
}

function graphs(parameters: Parameters): Graph[] {
  const { broker, sendConcurrency } = parameters;
  const keys = Object.keys(functionSettings(parameters));
  const count = (name: MetricName, label: string) => sum(label, ofGateway(parameters, name));
  const percentiles = (name: MetricName) =>
    ['p50', 'p95', 'p99'].map((stat) => ({ label: stat, metric: ofGateway(parameters, name), stat }));
  return [
    {
      title: 'API Gateway',
      lines: [
        sum('connects', ofApi('ConnectCount')),
        sum('messages, both ways', ofApi('MessageCount')),
        sum('refused before a function', ofApi('ClientError')),
        sum('refused by a function', ofApi('IntegrationError')),
        sum('function not reached', ofApi('ExecutionError')),
      ],
    },
    {
      title: 'Connections',
      lines: [count('ConnectionsOpened', 'opened'), count('ConnectionsClosed', 'closed')],
    },
    {
      title: 'Sessions',
      lines: [
        count('SessionsOpened', 'opened'),
        count('SessionsResumed', 'resumed'),
        count('SessionsRefused', 'refused'),
        count('SessionsEnded', 'ended'),
        count('SessionsFailed', 'failed'),
      ],
    },
    {
      title: 'Messages of clients',
      lines: [count('Sends', 'acknowledged'), count('SendsRefused', 'refused'), count('SendsFailed', 'failed')],
    },
    {
      title: 'Replies by verdict',
      stacked: true,
      lines: [
        count('RepliesDelivered', 'delivered'),
        count('RepliesStored', 'stored'),
        count('RepliesGone', 'gone'),
        count('RepliesThrottled', 'throttled'),
        count('RepliesTooLarge', 'too_large'),
        count('RepliesForbidden', 'forbidden'),
        count('RepliesMalformed', 'malformed'),
      ],
    },
    { title: 'Confirm of the broker, ms', lines: percentiles('ConfirmLatency') },
    { title: 'From send to delivery of a reply, ms', lines: percentiles('EndToEnd') },
    {
      title: 'Dead letters, posts tried again, copies left out',
      lines: [count('DeadLetters', 'dead letters'), count('Retries', 'retries'), count('Duplicates', 'duplicates')],
    },
    {
      title: 'Errors and throttles of functions',
      lines: [
        ...keys.map((key) => sum(`${key} errors`, ofFunction(key, 'Errors'))),
        ...keys.map((key) => sum(`${key} throttles`, ofFunction(key, 'Throttles'))),
      ],
    },
    {
      title: 'Duration of functions, p99 ms',
      lines: keys.map((key) => ({ label: key, metric: ofFunction(key, 'Duration'), stat: 'p99' })),
    },
    {
      title: 'Concurrent runs of functions',
      lines: keys.map((key) => ({ label: key, metric: ofFunction(key, 'ConcurrentExecutions'), stat: 'Maximum' })),
      limits: sendConcurrency === undefined ? [] : [{ label: 'limit of send', value: sendConcurrency }],
    },
    {
      title: 'Tables: units',
      lines: [
        sum('sessions, written', ofTable('SessionTable', 'ConsumedWriteCapacityUnits')),
        sum('sessions, read', ofTable('SessionTable', 'ConsumedReadCapacityUnits')),
        sum('connections, written', ofTable('ConnectionTable', 'ConsumedWriteCapacityUnits')),
        sum('connections, read', ofTable('ConnectionTable', 'ConsumedReadCapacityUnits')),
      ],
    },
    {
      title: 'Tables: throttled requests',
      lines: [
        sum('sessions, writes', ofTable('SessionTable', 'WriteThrottleEvents')),
        sum('sessions, reads', ofTable('SessionTable', 'ReadThrottleEvents')),
        sum('connections, writes', ofTable('ConnectionTable', 'WriteThrottleEvents')),
        sum('connections, reads', ofTable('ConnectionTable', 'ReadThrottleEvents')),
      ],
    },
    {
      title: 'Broker: memory, % of what it may use',
      lines: [
        { label: 'used', expression: '100 * used / allowed' },
        { label: 'used', metric: ofBroker(parameters, 'RabbitMQMemUsed'), stat: 'Average', id: 'used', hidden: true },
        {
          label: 'allowed',
          metric: ofBroker(parameters, 'RabbitMQMemLimit'),
          stat: 'Average',
          id: 'allowed',
          hidden: true,
        },
      ],
      limits: [
        { label: 'takes no messages', value: 100 },
        { label: 'alarm', value: 100 * highShare },
      ],
    },
    {
      title: 'Broker: connections',
      lines: [{ label: 'connections', metric: ofBroker(parameters, 'ConnectionCount'), stat: 'Maximum' }],
      limits: [
        { label: 'takes no more', value: broker.connectionLimit },
        { label: 'alarm', value: Math.floor(broker.connectionLimit * highShare) },
      ],
    },
    { title: 'Broker: messages in queues', lines: depths(parameters) },
  ];
}

function depths(parameters: Parameters): Line[] {
  const level = (label: string, metric: Metric): Line => ({ label, metric, stat: 'Maximum' });
  return hasQueueMetrics(parameters)
    ? topology(parameters).map(({ name }) => level(name, ofQueue(parameters, name, 'MessageCount')))
    : [
        level('all queues, waiting', ofBroker(parameters, 'MessageReadyCount')),
        level('all queues, being handled', ofBroker(parameters, 'MessageUnacknowledgedCount')),
      ];
}

function sum(label: string, metric: Metric): Line {
  return { label, metric, stat: 'Sum' };
}

function tile({ title, lines, stacked = false, limits = [] }: Graph): Tile {
  const properties = {
    title,
    region: '${AWS::Region}',
    view: 'timeSeries',
    stacked,
    // Seconds; over a longer time CloudWatch takes a longer one by itself.
    period: 60,
    metrics: lines.map(row),
    yAxis: { left: { min: 0 } },
    ...(limits.length === 0 ? {} : { annotations: { horizontal: limits } }),
  };
  return { type: 'metric', width: tileWidth, properties };
}

function row(line: Line): unknown[] {
  const label = literal(line.label);
  if ('expression' in line) return [{ expression: line.expression, label }];
  const { metric, stat, id, hidden } = line;
  const options = { label, stat, ...(id === undefined ? {} : { id }), ...(hidden ? { visible: false } : {}) };
  const dimensions = Object.entries(metric.Dimensions).flatMap(([name, value]) => [
    name,
    typeof value === 'string' ? literal(value) : `\${${value.Ref}}`,
  ]);
  return [metric.Namespace, metric.MetricName, ...dimensions, options];
}

/** Not substituted by Fn::Sub, whatever a queue is called. */
function literal(text: string): string {
  return text.replaceAll('${', '${!');
}

function laidOut(tiles: readonly Tile[]): unknown[] {
  let x = 0;
  let y = 0;
  return tiles.map((tile) => {
    const placed = { ...tile, height: tileHeight, x, y };
    x += tile.width;
    if (x >= rowWidth) {
      x = 0;
      y += tileHeight;
    }
    return placed;
  });
}
