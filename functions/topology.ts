import { declareQueues, deleteQueues, patiently } from '../infra/declare';
import { openLog, openTopology } from '../lib/compose';
import { customResource } from '../lib/custom-resource';
import type { JsonObject } from '../lib/json';

const log = openLog('topology');

/**
 * CloudFormation's custom resource `Topology`: declares the gateway's queues, which no template can. With the stack they
 * are deleted only where `DeleteQueues` says so.
 */
export const handler = customResource(log, async ({ type, properties }, deadline) => {
  if (type === 'Delete' && properties.DeleteQueues !== 'true') return {};
  // Not while the function is loaded: what is wrong with a variable must reach CloudFormation too.
  const { broker, queues } = openTopology();
  const notYet = (error: unknown) => log.warn('The broker cannot be used yet', { error });
  if (type === 'Delete') {
    const names = queuesIn(properties);
    await patiently(() => deleteQueues(broker, names), deadline, notYet);
    log.info('Deleted the queues', { count: names.length });
    return { Deleted: names.join(', ') };
  }
  const results = [...(await patiently(() => declareQueues(broker, queues), deadline, notYet))];
  const named = (which: string) => results.flatMap(([name, result]) => (result === which ? [name] : []));
  const kept = named('kept');
  for (const queue of kept) log.warn('The queue exists with arguments of its own and is used as it is', { queue });
  log.info('Declared the queues', { count: results.length - kept.length });
  return { Declared: named('declared').join(', '), Kept: kept.join(', ') };
});

function queuesIn({ Queues }: JsonObject): string[] {
  if (Array.isArray(Queues) && Queues.every((name) => typeof name === 'string')) return Queues;
  throw new Error('Queues must be a list of names');
}
