import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describePublisher } from './publisher.suite';

describePublisher('RabbitMQ', async () => ({ url: rabbitmqUrl(), close: async () => undefined }));
