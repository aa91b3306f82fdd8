import { describeBroker } from './broker.suite';

// The suite is what keeps the embedded broker true: it must hold for the original too.
const url = process.env.TEST_AMQP_URL;
if (!url) throw new Error('TEST_AMQP_URL must name a RabbitMQ: run this by .ci/with-rabbitmq');

describeBroker('RabbitMQ', () => url);
