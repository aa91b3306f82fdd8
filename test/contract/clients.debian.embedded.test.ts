import { afterAll, beforeAll } from '@jest/globals';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { describeDebianClients } from './clients.suite';

let broker: Broker;

beforeAll(async () => {
  broker = await startBroker({ port: 0 });
});

afterAll(() => broker.close());

describeDebianClients('the embedded broker', () => broker.url);
