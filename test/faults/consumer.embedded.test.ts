import { describeEmbedded } from './brokers';
import { describeConsumerFaults } from './consumer.suite';

describeEmbedded(describeConsumerFaults);
