import { describeRabbitmq } from './brokers';
import { describeReplyFaults } from './replies.suite';

describeRabbitmq(describeReplyFaults);
