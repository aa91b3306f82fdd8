import { afterAll, beforeAll } from '@jest/globals';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { describeClients } from './clients.suite';

let broker: Broker;

beforeAll(async () => {
  broker = await startBroker({ port: 0 });
});

afterAll(() => broker.close());

describeClients('the embedded broker', () => broker.url);
