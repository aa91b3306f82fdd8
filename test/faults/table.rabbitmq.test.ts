import { describeRabbitmq } from './brokers';
import { describeTableFaults } from './table.suite';

describeRabbitmq(describeTableFaults);
