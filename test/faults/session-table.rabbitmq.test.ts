import { describeRabbitmq } from './brokers';
import { describeSessionTableFaults } from './session-table.suite';

describeRabbitmq(describeSessionTableFaults);
