/** The real RabbitMQ of a `*.rabbitmq.test.ts`; such a suite is left out of the run where there is none. */
export function rabbitmqUrl(): string {
  const url = process.env.TEST_AMQP_URL;
  if (!url) throw new Error('Set TEST_AMQP_URL to a RabbitMQ, or run: .ci/with-rabbitmq npx jest <file>');
  return url;
}
