import { rabbitmqUrl } from '../helpers/rabbitmq';
import { describeShards } from './shards.suite';

describeShards('RabbitMQ', { AMQP_URL: rabbitmqUrl() });
