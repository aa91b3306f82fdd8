// Says at the end of a run what it left out, so that nobody takes "passed" for more than it is.
const NO_RABBITMQ = !process.env.TEST_AMQP_URL;

module.exports = async () => {
  if (NO_RABBITMQ) {
    process.stderr.write(
      '\nLeft out: the suites against a real RabbitMQ (*.rabbitmq.test.ts). To run them too: ' +
        '.ci/with-rabbitmq npm test, or set TEST_AMQP_URL.\n',
    );
  }
};
module.exports.NO_RABBITMQ = NO_RABBITMQ;
