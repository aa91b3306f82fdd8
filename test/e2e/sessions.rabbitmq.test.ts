import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeSessions } from './sessions.suite';

describeSessions('RabbitMQ', { AMQP_URL: rabbitmqUrl() });
