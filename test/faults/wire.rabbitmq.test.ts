import { describeRabbitmq } from './brokers';
import { describeWireFaults } from './wire.suite';

describeRabbitmq(describeWireFaults);
