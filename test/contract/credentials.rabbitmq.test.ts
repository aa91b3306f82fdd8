import { rabbitmqWithUser } from '../helpers/broker-with-user';
import { describeCredentials } from './credentials.suite';

describeCredentials('RabbitMQ', rabbitmqWithUser);
