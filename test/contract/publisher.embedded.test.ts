import { startBroker } from '../../infra/local/broker/broker';
import { describePublisher } from './publisher.suite';

describePublisher('the embedded broker', () => startBroker({ port: 0 }));
