import { embeddedWithUser } from '../helpers/broker-with-user';
import { describeTopology } from './topology.suite';

describeTopology('the embedded broker', embeddedWithUser);
