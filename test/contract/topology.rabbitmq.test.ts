import { rabbitmqWithUser } from '../helpers/broker-with-user';
import { describeTopology } from './topology.suite';

describeTopology('RabbitMQ', rabbitmqWithUser);
