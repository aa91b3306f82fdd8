import { describeEmbedded } from './brokers';
import { describeOneClient } from './connections.suite';

describeEmbedded(describeOneClient);
