import { describeEmbedded } from './brokers';
import { describeSessionTableFaults } from './session-table.suite';

describeEmbedded(describeSessionTableFaults);
