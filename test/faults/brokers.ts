import { afterAll, beforeAll } from '@jest/globals';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { rabbitmqUrl } from '../helpers/rabbitmq';
import type { TestBroker } from './faults';

/** The brokers of faults that strike elsewhere than the broker. */

/** An embedded broker of the file's own. */
export function describeEmbedded(faults: (broker: TestBroker) => void): void {
  let broker: Broker;
  beforeAll(async () => {
    broker = await startBroker({ port: 0 });
  });
  afterAll(() => broker.close());
  faults({ name: 'embedded', url: () => broker.url });
}

export function describeRabbitmq(faults: (broker: TestBroker) => void): void {
  faults({ name: 'RabbitMQ', url: rabbitmqUrl });
}
