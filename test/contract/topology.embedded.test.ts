import { startBroker } from '../../infra/local/broker/broker';
import { describeTopology } from './topology.suite';

describeTopology('the embedded broker', async (user) => {
  const users: Record<string, string> = { guest: 'guest' };
  const { url, close } = await startBroker({ port: 0, users });
  return {
    url,
    setPassword: async (password) => {
      users[user] = password;
    },
    close,
  };
});
