import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeDeadLetters } from './dead-letters.suite';

describeDeadLetters('RabbitMQ', async () => ({ url: rabbitmqUrl(), close: async () => undefined }));
