import type { Context } from 'aws-lambda';
import { openDelivery, openLog } from '../lib/compose';
import { deadlineOf } from '../lib/deadline';
import { deliver } from '../lib/delivery';
import { deliveriesOf } from '../lib/mq-event';

const log = openLog('consumer');
const ports = openDelivery(log);

/** Amazon MQ event on `WS_QUEUE`: takes each reply to its client. A throw brings the whole batch back. */
export const handler = async (event: unknown, context: Context): Promise<void> => {
  const verdicts = await deliver(deliveriesOf(event), deadlineOf(context), ports);
  log.info('Handled a batch of replies', { count: verdicts.length, verdicts: tally(verdicts) });
};

function tally(verdicts: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const verdict of verdicts) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return counts;
}
