import { afterAll, beforeAll } from '@jest/globals';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { describeMistakes } from './mistakes.suite';

let broker: Broker;

beforeAll(async () => {
  broker = await startBroker({ port: 0 });
});

afterAll(() => broker.close());

describeMistakes(() => broker, 30);
