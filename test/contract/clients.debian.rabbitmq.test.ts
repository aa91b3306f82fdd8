import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeDebianClients } from './clients.suite';

describeDebianClients('RabbitMQ', rabbitmqUrl);
