import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeEventSource } from './event-source.suite';

describeEventSource('RabbitMQ', async () => ({ url: rabbitmqUrl(), close: async () => undefined }));
