import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeSessionLimit } from './session-limit.suite';

describeSessionLimit('RabbitMQ', { AMQP_URL: rabbitmqUrl() });
