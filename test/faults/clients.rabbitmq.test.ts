import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeClientFaults } from './clients.suite';

describeClientFaults('RabbitMQ', { AMQP_URL: rabbitmqUrl() });
