import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeDelivery } from './delivery.suite';

describeDelivery('RabbitMQ', async () => ({ url: rabbitmqUrl(), close: async () => undefined }));
