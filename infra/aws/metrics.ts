import type { MetricName } from '../../lib/metrics';
import { isRabbitMq3, type Parameters } from '../parameters';
import { functionId } from './intrinsics';

/**
 * The metrics in CloudWatch that tell how a deployment fares: those that its functions write, and those of AWS about the
 * functions, the API, the tables and the broker. Alarms and dashboard are made of these.
 */

export interface Metric {
  Namespace: string;
  MetricName: string;
  /** Texts, or the names that CloudFormation gives. */
  Dimensions: Record<string, string | { Ref: string }>;
}

/** lib/metrics.ts has them, without dimensions. */
export function ofGateway({ service, stage }: Parameters, MetricName: MetricName): Metric {
  return { Namespace: `${service}-${stage}`, MetricName, Dimensions: {} };
}

/** https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html */
type OfFunction = 'ConcurrentExecutions' | 'Duration' | 'Errors' | 'Invocations' | 'Throttles';

export function ofFunction(functionKey: string, MetricName: OfFunction): Metric {
  return { Namespace: 'AWS/Lambda', MetricName, Dimensions: { FunctionName: { Ref: functionId(functionKey) } } };
}

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-logging.html */
type OfApi = 'ClientError' | 'ConnectCount' | 'ExecutionError' | 'IntegrationError' | 'MessageCount';

export function ofApi(MetricName: OfApi): Metric {
  return { Namespace: 'AWS/ApiGateway', MetricName, Dimensions: { ApiId: { Ref: 'WebsocketsApi' } } };
}

/** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html */
type OfTable =
  | 'ConsumedReadCapacityUnits'
  | 'ConsumedWriteCapacityUnits'
  | 'ReadThrottleEvents'
  | 'WriteThrottleEvents';

export function ofTable(table: 'ConnectionTable' | 'SessionTable', MetricName: OfTable): Metric {
  return { Namespace: 'AWS/DynamoDB', MetricName, Dimensions: { TableName: { Ref: table } } };
}

/** Once a minute. https://docs.aws.amazon.com/amazon-mq/latest/developer-guide/rabbitmq-logging-monitoring.html */
type OfBroker =
  | 'ConnectionCount'
  | 'MessageReadyCount'
  | 'MessageUnacknowledgedCount'
  | 'RabbitMQMemLimit'
  | 'RabbitMQMemUsed';

/** Of a cluster, the sum of its nodes. */
export function ofBroker({ broker }: Parameters, MetricName: OfBroker): Metric {
  return { Namespace: 'AWS/AmazonMQ', MetricName, Dimensions: { Broker: broker.name } };
}

/** `MessageCount` is what waits and what is being handled. Only where `hasQueueMetrics`. */
export function ofQueue({ broker }: Parameters, queue: string, MetricName: 'ConsumerCount' | 'MessageCount'): Metric {
  return {
    Namespace: 'AWS/AmazonMQ',
    MetricName,
    Dimensions: { Broker: broker.name, VirtualHost: '/', Queue: queue },
  };
}

/** Amazon MQ publishes none of single queues since RabbitMQ 4. */
export function hasQueueMetrics({ broker }: Parameters): boolean {
  return isRabbitMq3(broker.engineVersion);
}
