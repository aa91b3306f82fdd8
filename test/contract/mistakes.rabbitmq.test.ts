import { describeMistakes } from './mistakes.suite';

const { port } = new URL(process.env.TEST_AMQP_URL as string);

describeMistakes(() => ({ port: Number(port) }), 8);
