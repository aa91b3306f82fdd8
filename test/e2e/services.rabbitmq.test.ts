import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeServices, describeTwoStacks } from './services.suite';

describeServices('RabbitMQ', { AMQP_URL: rabbitmqUrl() });
describeTwoStacks('RabbitMQ', async () => ({ url: rabbitmqUrl(), close: async () => undefined }));
