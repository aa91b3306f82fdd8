import { describeEmbedded } from './brokers';
import { describeSessionFaults } from './sessions.suite';

describeEmbedded(describeSessionFaults);
