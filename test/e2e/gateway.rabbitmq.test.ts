import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeGateway } from './gateway.suite';

describeGateway('RabbitMQ', { AMQP_URL: rabbitmqUrl() });
