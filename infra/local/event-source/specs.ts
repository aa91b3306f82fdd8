import type { Resources } from '../../aws/intrinsics';

/**
 * Which queues feed which functions, read from the service's own configuration: from `rabbitmq` events of functions,
 * and from AWS::Lambda::EventSourceMapping resources that name a queue.
 */

export interface MappingSpec {
  functionKey: string;
  queue: string;
  virtualHost: string;
  /** 1 to 10,000 messages. */
  batchSize: number;
  /** How long a batch that is not full waits for more, 0 to 300,000 milliseconds. */
  windowMs: number;
  eventSourceArn: string;
}

/** The part of a serverless service that is read. */
export interface ServiceConfiguration {
  functions: Record<string, { events?: { rabbitmq?: RabbitmqEvent }[] }>;
  resources?: { Resources?: Resources };
}

interface RabbitmqEvent {
  arn: unknown;
  queue: string;
  virtualHost?: string;
  batchSize?: number;
  maximumBatchingWindow?: number;
  enabled?: boolean;
}

/** AWS's defaults, https://docs.aws.amazon.com/lambda/latest/dg/with-mq-params.html */
const defaults = { batchSize: 100, windowMs: 500, virtualHost: '/' };

/** @param logicalIdOf the CloudFormation id of a function by its key in serverless.yml. */
export function mappingSpecs(
  service: ServiceConfiguration,
  logicalIdOf: (functionKey: string) => string,
): MappingSpec[] {
  return [...fromEvents(service), ...fromResources(service, logicalIdOf)];
}

function fromEvents({ functions }: ServiceConfiguration): MappingSpec[] {
  return Object.entries(functions).flatMap(([functionKey, { events = [] }]) =>
    events.flatMap(({ rabbitmq }) => {
      if (rabbitmq === undefined || rabbitmq.enabled === false) return [];
      return {
        functionKey,
        queue: rabbitmq.queue,
        virtualHost: rabbitmq.virtualHost ?? defaults.virtualHost,
        batchSize: rabbitmq.batchSize ?? defaults.batchSize,
        windowMs: (rabbitmq.maximumBatchingWindow ?? defaults.windowMs / 1000) * 1000,
        eventSourceArn: arnText(rabbitmq.arn),
      };
    }),
  );
}

function fromResources(service: ServiceConfiguration, logicalIdOf: (key: string) => string): MappingSpec[] {
  const functionKeys = new Map(Object.keys(service.functions).map((key) => [logicalIdOf(key), key]));
  return Object.entries(service.resources?.Resources ?? {}).flatMap(([id, { Type, Properties = {} }]) => {
    if (Type !== 'AWS::Lambda::EventSourceMapping' || !Array.isArray(Properties.Queues)) return [];
    if (Properties.Enabled === false) return [];
    const functionKey = functionKeys.get(functionLogicalId(Properties.FunctionName) ?? '');
    if (functionKey === undefined) {
      throw new Error(
        `${id}: FunctionName must be !GetAtt <Function>LambdaFunction.Arn of a function in serverless.yml.`,
      );
    }
    const window = Properties.MaximumBatchingWindowInSeconds;
    return {
      functionKey,
      queue: String(Properties.Queues[0]),
      virtualHost: virtualHostOf(Properties.SourceAccessConfigurations),
      batchSize: Number(Properties.BatchSize ?? defaults.batchSize),
      windowMs: window === undefined ? defaults.windowMs : Number(window) * 1000,
      eventSourceArn: arnText(Properties.EventSourceArn),
    };
  });
}

/** `!GetAtt Id.Arn` as its two spellings, or `!Ref Id`. */
function functionLogicalId(reference: unknown): string | undefined {
  const { 'Fn::GetAtt': attribute, Ref: ref } = (reference ?? {}) as {
    'Fn::GetAtt'?: string | string[];
    Ref?: string;
  };
  return (typeof attribute === 'string' ? attribute.split('.') : attribute)?.[0] ?? ref;
}

function virtualHostOf(configurations: unknown): string {
  const list = (Array.isArray(configurations) ? configurations : []) as { Type: string; URI: string }[];
  return list.find(({ Type }) => Type === 'VIRTUAL_HOST')?.URI ?? defaults.virtualHost;
}

function arnText(arn: unknown): string {
  return typeof arn === 'string' ? arn : 'arn:aws:mq:us-east-1:123456789012:broker:local:b-local';
}
