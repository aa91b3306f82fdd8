import type { Context } from 'aws-lambda';
import { openDelivery, openLog } from '../lib/compose';
import { deadlineOf } from '../lib/deadline';
import { deliver } from '../lib/delivery';
import { deliveriesOf } from '../lib/mq-event';

const ports = openDelivery(openLog('consumer'));

/** Amazon MQ event on `WS_QUEUE`: takes each reply to its client. A throw brings the whole batch back. */
export const handler = async (event: unknown, context: Context): Promise<void> => {
  await deliver(deliveriesOf(event), deadlineOf(context), ports);
};
