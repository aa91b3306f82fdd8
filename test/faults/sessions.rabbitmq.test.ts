import { describeRabbitmq } from './brokers';
import { describeSessionFaults } from './sessions.suite';

describeRabbitmq(describeSessionFaults);
