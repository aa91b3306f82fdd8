import { describeEmbedded } from './brokers';
import { describeProcessFaults } from './process.suite';

describeEmbedded(describeProcessFaults);
