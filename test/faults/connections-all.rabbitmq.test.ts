import { describeRabbitmq } from './brokers';
import { describeAllClients } from './connections.suite';

describeRabbitmq(describeAllClients);
