import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeStatus } from './status.suite';

describeStatus('RabbitMQ', async () => ({ url: rabbitmqUrl(), close: async () => undefined }));
