import { describeEmbedded } from './brokers';
import { describeTableFaults } from './table.suite';

describeEmbedded(describeTableFaults);
