import type { Packaged } from '../package';
import { list, ofType, textOf } from '../template';

/** The queues: declared before they are read, every reply queue read once, and nobody waits for a batch to fill. */
export function declaresWhatIsRead({ template, combination: { shards, parameters } }: Packaged): string[] {
  const declared = list(template.Resources.Topology?.Properties?.Queues ?? []);
  const mappings = ofType(template, 'AWS::Lambda::EventSourceMapping');
  const replies = ['ws_queue', ...Array.from({ length: shards - 1 }, (_, index) => `ws_queue.${index + 1}`)];
  const requests = parameters.exampleWorker === 'true' ? ['api_queue'] : [];
  const readBy = (functionId: string) =>
    mappings.flatMap(([, { FunctionName, Queues }]) =>
      textOf(FunctionName) === `\${${functionId}.Arn}` ? Queues : [],
    );
  return [
    ...different('the topology declares', declared, ['api_queue', ...replies, 'ws_queue.dead']),
    ...different('the consumer reads', readBy('ConsumerLambdaFunction'), replies),
    ...different('the worker reads', readBy('WorkerLambdaFunction'), requests),
    // It names the queues for replies.
    ...(list(template.Resources.SendLambdaFunction?.DependsOn ?? []).includes('Topology')
      ? []
      : ['send: does not wait for Topology']),
    ...mappings.flatMap(([id, { Queues, BatchSize, MaximumBatchingWindowInSeconds, SourceAccessConfigurations }]) => [
      ...list(Queues)
        .filter((queue) => !declared.includes(queue))
        .map((queue) => `${id}: nobody declares ${queue}`),
      ...(list(template.Resources[id]?.DependsOn).includes('Topology') ? [] : [`${id}: does not wait for Topology`]),
      ...(MaximumBatchingWindowInSeconds === 0 ? [] : [`${id}: waits for a batch to fill`]),
      ...(id.startsWith('Consumer') && BatchSize !== 100 ? [`${id}: has batches of ${BatchSize}`] : []),
      ...different(
        `${id} logs in by`,
        SourceAccessConfigurations.map(({ Type }: { Type: string }) => Type),
        ['BASIC_AUTH', 'VIRTUAL_HOST'],
      ),
    ]),
  ];
}

function different(what: string, is: unknown[], should: string[]): string[] {
  const [found, expected] = [is, should].map((names) => [...names].sort().join(', '));
  return found === expected ? [] : [`${what} ${found}, and should ${expected}`];
}
