import { describeRabbitmq } from './brokers';
import { describeConsumerFaults } from './consumer.suite';

describeRabbitmq(describeConsumerFaults);
