import { describeEmbedded } from './brokers';
import { describeAllClients } from './connections.suite';

describeEmbedded(describeAllClients);
