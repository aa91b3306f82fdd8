import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeClients } from './clients.suite';

describeClients('RabbitMQ', rabbitmqUrl);
