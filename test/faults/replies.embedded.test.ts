import { describeEmbedded } from './brokers';
import { describeReplyFaults } from './replies.suite';

describeEmbedded(describeReplyFaults);
