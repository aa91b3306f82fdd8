import { describeRabbitmq } from './brokers';
import { describeOneClient } from './connections.suite';

describeRabbitmq(describeOneClient);
