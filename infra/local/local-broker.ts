import { setTimeout as sleep } from 'node:timers/promises';
import { brokerAt } from '../../lib/credentials';
import { reasonOf } from '../../lib/reason';
import { declareQueues } from '../declare';
import type { QueueDeclaration } from '../topology';
import { startBroker } from './broker/broker';
import { onFreePort } from './ports';
import type { ServerlessLog } from './serverless';

/** The broker of the local stack: a RabbitMQ of the user's, or the embedded one; and the gateway's queues on it. */

export interface LocalBroker {
  url: string;
  embedded: boolean;
}

const retryMs = 2000;

/** The RabbitMQ at `url`; without one an embedded broker on `port`, or if that is taken on the next free one. */
export async function brokerFor(url: string | undefined, port: number, log: ServerlessLog): Promise<LocalBroker> {
  if (url !== undefined) return { url, embedded: false };
  const start = async (found: number) => ({ broker: await startBroker({ port: found }), found });
  const { broker, found } = await onFreePort(port, start);
  if (found > port) {
    log.warning(
      `Port ${port} is taken: the embedded broker listens on ${found} instead, so point your services to ` +
        `${broker.url}. If a RabbitMQ of yours has the port, use it: AMQP_URL=amqp://guest:guest@localhost:${port} npm start`,
    );
  }
  return { url: broker.url, embedded: true };
}

/** Declares the queues as soon as the broker can be used, however long that takes. */
export async function declareWhenReachable(url: string, queues: QueueDeclaration[], log: ServerlessLog): Promise<void> {
  const broker = brokerAt(url);
  let lastReason = '';
  for (;;) {
    try {
      for (const [queue, result] of await declareQueues(broker, queues)) {
        if (result === 'declared') continue;
        log.warning(
          `The queue ${queue} exists with arguments or flags of its own and is used as it is. ` +
            'A NestJS service that declares it plain will not start.',
        );
      }
      return;
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== lastReason) {
        log.warning(
          `RabbitMQ at ${new URL(url).host} cannot be used yet (${reason}); trying again every ${retryMs / 1000} s.`,
        );
      }
      lastReason = reason;
      await sleep(retryMs);
    }
  }
}
