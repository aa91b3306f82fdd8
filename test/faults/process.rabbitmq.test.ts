import { describeRabbitmq } from './brokers';
import { describeProcessFaults } from './process.suite';

describeRabbitmq(describeProcessFaults);
