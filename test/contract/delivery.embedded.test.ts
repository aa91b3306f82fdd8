import { startBroker } from '../../infra/local/broker/broker';
import { describeDelivery } from './delivery.suite';

describeDelivery('the embedded broker', () => startBroker({ port: 0 }));
