import { startBroker } from '../../infra/local/broker/broker';
import { describeServices, describeTwoStacks } from './services.suite';

describeServices('the embedded broker', {});
describeTwoStacks('the embedded broker', () => startBroker({ port: 0 }));
