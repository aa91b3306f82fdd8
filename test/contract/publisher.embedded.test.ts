import { startBroker } from '../../infra/local/broker/broker';
import { describePublisher } from './publisher.suite';

describePublisher('the embedded broker', async (options = {}) => {
  const broker = await startBroker({ port: 0, ...options });
  return {
    url: broker.url,
    setMemoryAlarm: async (on) => broker.setMemoryAlarm(on),
    close: () => broker.close(),
  };
});
