import { afterAll, beforeAll } from '@jest/globals';
import { type Broker, startBroker } from '../../infra/local/broker/broker';
import { describeBrokerFaults, gateway, maxMessageBytes } from './broker.suite';

const users: Record<string, string> = { guest: 'guest', [gateway.username]: gateway.password };
let broker: Broker;

const start = async (port: number) => {
  broker = await startBroker({ port, users, maxMessageBytes });
};
beforeAll(() => start(0));
afterAll(() => broker.close());

describeBrokerFaults({
  name: 'embedded',
  url: () => broker.url,
  kill: () => broker.close(),
  start: () => start(broker.port),
  closeAllConnections: async () => broker.closeAllConnections(),
  setMemoryAlarm: async (on) => broker.setMemoryAlarm(on),
  async setPassword(password) {
    users[gateway.username] = password;
  },
});
