import { describeEmbedded } from './brokers';
import { describeWireFaults } from './wire.suite';

describeEmbedded(describeWireFaults);
