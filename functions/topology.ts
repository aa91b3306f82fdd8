import type { Context } from 'aws-lambda';
import { declareQueues, deleteQueues, patiently } from '../infra/declare';
import { openLog, openTopology } from '../lib/compose';
import { customResource, isRequest } from '../lib/custom-resource';
import { deadlineOf } from '../lib/deadline';
import type { JsonObject } from '../lib/json';

const log = openLog('topology');

/**
 * CloudFormation's custom resource `Topology`: declares the gateway's queues, which no template can. With the stack they
 * are deleted only where `DeleteQueues` says so. Invoked by hand, with any other event, it declares them again.
 */
export const handler = (event: unknown, context: Context) =>
  isRequest(event) ? onRequest(event, context) : declare(deadlineOf(context));

const onRequest = customResource(log, async ({ type, properties }, deadline) => {
  if (type !== 'Delete') return declare(deadline);
  if (properties.DeleteQueues !== 'true') return {};
  const names = queuesIn(properties);
  const { broker } = openTopology();
  await patiently(() => deleteQueues(broker, names), deadline, notYet);
  log.info('Deleted the queues', { count: names.length });
  return { Deleted: names.join(', ') };
});

async function declare(deadline: number): Promise<{ Declared: string; Kept: string }> {
  // Not while the function is loaded: what is wrong with a variable must reach CloudFormation too.
  const { broker, queues } = openTopology();
  const results = [...(await patiently(() => declareQueues(broker, queues), deadline, notYet))];
  const named = (which: string) => results.flatMap(([name, result]) => (result === which ? [name] : []));
  const kept = named('kept');
  for (const queue of kept) log.warn('The queue exists with arguments of its own and is used as it is', { queue });
  log.info('Declared the queues', { count: results.length - kept.length });
  return { Declared: named('declared').join(', '), Kept: kept.join(', ') };
}

function notYet(error: unknown): void {
  log.warn('The broker cannot be used yet', { error });
}

function queuesIn({ Queues }: JsonObject): string[] {
  if (Array.isArray(Queues) && Queues.every((name) => typeof name === 'string')) return Queues;
  throw new Error('Queues must be a list of names');
}
