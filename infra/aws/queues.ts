import { createHash } from 'node:crypto';
import type { Parameters } from '../parameters';
import { replyQueues, topology } from '../topology';
import { brokerArn, brokerSecretArn } from './broker';
import { functionId, getAtt, type Resources } from './intrinsics';
import { wayOut } from './network';

/**
 * The queues on the broker, and what feeds the functions behind them. CloudFormation cannot declare a queue, so a custom
 * resource calls the `topology` function, before the event source mappings, which do not wait for a queue that is missing.
 * They are resources of ours because the framework's own `rabbitmq` event drops a batching window of 0, takes no reference
 * to a broker, and gives its rights to every function.
 */
export function queues(parameters: Parameters): Resources {
  const { wsQueue, apiQueue, replyShards, exampleWorker, deleteQueues } = parameters;
  const feed = (functionKey: string, queue: string, more: Record<string, unknown>) => ({
    Type: 'AWS::Lambda::EventSourceMapping',
    DependsOn: ['Topology'],
    Properties: {
      FunctionName: getAtt(functionId(functionKey), 'Arn'),
      EventSourceArn: brokerArn(parameters),
      Queues: [queue],
      // Every message that waits is one that somebody waits for.
      MaximumBatchingWindowInSeconds: 0,
      SourceAccessConfigurations: [
        { Type: 'BASIC_AUTH', URI: brokerSecretArn(parameters) },
        { Type: 'VIRTUAL_HOST', URI: '/' },
      ],
      ...more,
    },
  });
  const consumers = replyQueues({ wsQueue, replyShards }).map((queue) => [
    mappingId('Consumer', queue),
    feed('consumer', queue, { BatchSize: 100 }),
  ]);
  return {
    Topology: {
      Type: 'Custom::Topology',
      DependsOn: wayOut(parameters),
      Properties: {
        ServiceToken: getAtt(functionId('topology'), 'Arn'),
        // Seconds until CloudFormation gives up; the function answers well before.
        ServiceTimeout: 300,
        // Another broker, or one queue more, and CloudFormation calls again.
        Broker: brokerArn(parameters),
        Queues: topology({ apiQueue, wsQueue, replyShards }).map(({ name }) => name),
        DeleteQueues: String(deleteQueues),
      },
    },
    ...Object.fromEntries(consumers),
    ...(exampleWorker ? { [mappingId('Worker', apiQueue)]: feed('worker', apiQueue, { BatchSize: 10 }) } : {}),
  };
}

/** Another queue, another mapping: a mapping's queue cannot be changed, and CloudFormation would say that it was. */
export function mappingId(reader: 'Consumer' | 'Worker', queue: string): string {
  return `${reader}Mapping${createHash('sha256').update(queue).digest('hex').slice(0, 8)}`;
}
