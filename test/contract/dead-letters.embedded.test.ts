import { startBroker } from '../../infra/local/broker/broker';
import { describeDeadLetters } from './dead-letters.suite';

describeDeadLetters('the embedded broker', () => startBroker({ port: 0 }));
