import type { Parameters } from '../parameters';
import { replyQueues } from '../topology';
import { functionSettings } from './functions';
import type { Resources } from './intrinsics';
import { hasQueueMetrics, type Metric, ofApi, ofBroker, ofFunction, ofGateway, ofQueue } from './metrics';

/**
 * What somebody is told of: each alarm stands for a fault that does not heal by itself, and its description ends with the
 * section of docs/OPERATIONS.md that says what to do. What did not happen is not published, so no data is never an alarm,
 * and a stage that nobody uses is silent.
 */

interface Watch {
  says: string;
  /** Of docs/OPERATIONS.md. */
  section: string;
  /** By the names that the expression has for them; without one there is one metric. */
  metrics: Record<string, Observed>;
  expression?: string;
  above: number;
  rhythm: Rhythm;
}

type Observed = Metric & { Stat: 'Average' | 'Maximum' | 'Sum' };

interface Rhythm {
  /** Seconds. */
  Period: number;
  EvaluationPeriods: number;
  DatapointsToAlarm: number;
}

/** A failover of the broker, or a new version of a function, is over within two minutes: that wakes nobody. */
const lasting: Rhythm = { Period: 60, EvaluationPeriods: 15, DatapointsToAlarm: 5 };
/** Of levels, which have a value every minute. */
const unbroken: Rhythm = { Period: 60, EvaluationPeriods: 5, DatapointsToAlarm: 5 };
/** At once; a trickle of them is still one alarm. */
const single: Rhythm = { Period: 300, EvaluationPeriods: 1, DatapointsToAlarm: 1 };
/** Of shares and of growth, which a minute tells little about. */
const trend: Rhythm = { Period: 300, EvaluationPeriods: 3, DatapointsToAlarm: 3 };

/** Of what the broker allows: high enough to be meant, low enough to act. */
export const highShare = 0.8;

export function alarms(parameters: Parameters): Resources {
  const { alarmTopicArn } = parameters;
  return Object.fromEntries(
    Object.entries(watches(parameters)).map(([id, { says, section, metrics, expression, above, rhythm }]) => [
      id,
      {
        Type: 'AWS::CloudWatch::Alarm',
        Properties: {
          AlarmDescription: `${says} docs/OPERATIONS.md#${section}`,
          Metrics: queries(metrics, expression, rhythm.Period),
          ComparisonOperator: 'GreaterThanThreshold',
          Threshold: above,
          EvaluationPeriods: rhythm.EvaluationPeriods,
          DatapointsToAlarm: rhythm.DatapointsToAlarm,
          TreatMissingData: 'notBreaching',
          ...(alarmTopicArn === undefined ? {} : { AlarmActions: [alarmTopicArn] }),
        },
      },
    ]),
  );
}

function watches(parameters: Parameters): Record<string, Watch> {
  const { broker } = parameters;
  const functionKeys = Object.keys(functionSettings(parameters));
  return {
    ConsumerErrorsAlarm: {
      says: 'The consumer fails, and its replies come back to it again and again.',
      section: 'consumer-errors',
      metrics: { errors: total(ofFunction('consumer', 'Errors')) },
      above: 0,
      rhythm: lasting,
    },
    DeadLettersAlarm: {
      says: 'Replies did not reach their clients and lie in the queue of dead letters.',
      section: 'dead-letters',
      metrics: { letters: total(ofGateway(parameters, 'DeadLetters')) },
      above: 0,
      // Nobody but an operator does anything about a dead letter.
      rhythm: single,
    },
    ...repliesStalled(parameters),
    SendsFailedAlarm: {
      says: 'Messages of clients cannot be queued.',
      section: 'sends-failed',
      metrics: { failed: total(ofGateway(parameters, 'SendsFailed')) },
      above: 0,
      rhythm: lasting,
    },
    SessionsFailedAlarm: {
      says: 'Sessions cannot be opened, resumed or acknowledged.',
      section: 'sessions-failed',
      metrics: { failed: total(ofGateway(parameters, 'SessionsFailed')) },
      above: 0,
      rhythm: lasting,
    },
    RouteErrorsAlarm: {
      says: 'Clients are not let in, or their messages not answered: a function crashes, or cannot write to its table.',
      section: 'route-errors',
      metrics: {
        ...byFunction(['connect', 'disconnect', 'default', 'send', 'session'], 'Errors'),
        // `connect` refuses with a status of 503, which is no error of the function.
        refusals: total(ofApi('IntegrationError')),
      },
      expression: 'SUM(METRICS())',
      above: 0,
      rhythm: lasting,
    },
    SendThrottlesAlarm: {
      says: 'More messages come at once than send may run.',
      section: 'send-throttles',
      metrics: { throttles: total(ofFunction('send', 'Throttles')) },
      above: 0,
      rhythm: lasting,
    },
    ThrottlesAlarm: {
      says: "Functions are kept from running: the account's limit of concurrent runs is reached.",
      section: 'throttles',
      metrics: byFunction(
        functionKeys.filter((key) => key !== 'send' && key !== 'topology'),
        'Throttles',
      ),
      expression: 'SUM(METRICS())',
      above: 0,
      rhythm: lasting,
    },
    BrokerMemoryAlarm: {
      says: 'The broker has used most of its memory; when it is used up, it takes no messages.',
      section: 'broker-memory',
      metrics: {
        used: average(ofBroker(parameters, 'RabbitMQMemUsed')),
        allowed: average(ofBroker(parameters, 'RabbitMQMemLimit')),
      },
      expression: 'used / allowed',
      above: highShare,
      rhythm: unbroken,
    },
    BrokerConnectionsAlarm: {
      says: `The broker has most of the ${broker.connectionLimit} connections that it takes.`,
      section: 'broker-connections',
      metrics: { connections: { ...ofBroker(parameters, 'ConnectionCount'), Stat: 'Maximum' } },
      above: Math.floor(broker.connectionLimit * highShare),
      rhythm: unbroken,
    },
    ...(functionKeys.includes('authorizer') ? { AuthorizerErrorsAlarm: mostRefused } : {}),
  };
}

/** A token that is refused is an error of the function too, so that only their share tells that something is wrong. */
const mostRefused: Watch = {
  says: 'Most of those who want to connect are refused.',
  section: 'authorizer-errors',
  metrics: {
    errors: total(ofFunction('authorizer', 'Errors')),
    asked: total(ofFunction('authorizer', 'Invocations')),
  },
  expression: 'IF(asked >= 20, errors / asked, 0)',
  above: 0.5,
  rhythm: trend,
};

/** A full batch of replies: see the mappings. */
const batch = 100;

/**
 * More replies wait than the consumer took in the minute, had each of its runs had a full batch; where it did not run, any.
 * For each shard, as one that hangs is not seen in their sum.
 */
function repliesStalled(parameters: Parameters): Record<string, Watch> {
  const says = 'Replies wait, and are not taken.';
  const section = 'replies-stalled';
  const runs = total(ofFunction('consumer', 'Invocations'));
  if (!hasQueueMetrics(parameters)) {
    const metrics = {
      ready: average(ofBroker(parameters, 'MessageReadyCount')),
      sends: total(ofGateway(parameters, 'Sends')),
      runs,
    };
    // Of all queues together only the growth tells anything: dead letters wait too, and who else is on the broker.
    const expression = `IF(sends > 0 AND DIFF(ready) > ${batch} * runs, 1, 0)`;
    return { RepliesStalledAlarm: { says, section, metrics, expression, above: 0, rhythm: trend } };
  }
  return Object.fromEntries(
    replyQueues(parameters).map((queue, shard) => {
      const metrics = {
        waiting: average(ofQueue(parameters, queue, 'MessageCount')),
        consumers: average(ofQueue(parameters, queue, 'ConsumerCount')),
        runs,
      };
      // A minute without a value is 0 in a comparison of two metrics. The runs are of all shards.
      const ownRuns = parameters.replyShards === 1 ? 'runs' : `runs / ${parameters.replyShards}`;
      const expression = `IF(waiting > ${batch} * ${ownRuns} OR (waiting > 0 AND consumers < 1), 1, 0)`;
      const id = `RepliesStalledAlarm${shard === 0 ? '' : shard}`;
      return [id, { says: `${says} Queue: ${queue}.`, section, metrics, expression, above: 0, rhythm: unbroken }];
    }),
  );
}

function byFunction(functionKeys: readonly string[], name: 'Errors' | 'Throttles'): Record<string, Observed> {
  return Object.fromEntries(functionKeys.map((key) => [key, total(ofFunction(key, name))]));
}

function total(metric: Metric): Observed {
  return { ...metric, Stat: 'Sum' };
}

function average(metric: Metric): Observed {
  return { ...metric, Stat: 'Average' };
}

function queries(metrics: Record<string, Observed>, expression: string | undefined, Period: number): unknown[] {
  const observed = Object.entries(metrics).map(([Id, { Stat, ...metric }]) => ({
    Id,
    MetricStat: { Metric: withDimensions(metric), Stat, Period },
    ReturnData: expression === undefined,
  }));
  return expression === undefined
    ? observed
    : [{ Id: 'watched', Expression: expression, ReturnData: true }, ...observed];
}

function withDimensions({ Dimensions, ...metric }: Metric) {
  const dimensions = Object.entries(Dimensions).map(([Name, Value]) => ({ Name, Value }));
  return dimensions.length === 0 ? metric : { ...metric, Dimensions: dimensions };
}
