const { existsSync } = require('node:fs');

// What a run leaves out for want of what it needs, and says so at its end: nobody shall take "passed" for more than it is.

/** Debian's packages of AMQP clients, by a file that each brings. */
const CLIENT_PACKAGES = {
  'python3-pika': '/usr/lib/python3/dist-packages/pika/__init__.py',
  'amqp-tools': '/usr/bin/amqp-get',
  'golang-go': '/usr/bin/go',
  'golang-github-rabbitmq-amqp091-go-dev': '/usr/share/gocode/src/github.com/rabbitmq/amqp091-go/connection.go',
};
/** Where Debian has the browser. */
const CHROMIUM = '/usr/bin/chromium';

const missingClients = Object.keys(CLIENT_PACKAGES).filter((name) => !existsSync(CLIENT_PACKAGES[name]));
const missingBrowsers = existsSync(CHROMIUM) ? [] : ['chromium'];

const leftOut = [];
if (!process.env.TEST_AMQP_URL) {
  leftOut.push({
    pattern: '\\.rabbitmq\\.test\\.ts$',
    notice:
      'the suites against a real RabbitMQ (*.rabbitmq.test.ts). To run them too: ' +
      '.ci/with-rabbitmq npm test, or set TEST_AMQP_URL.',
  });
}
if (missingClients.length > 0) {
  leftOut.push({
    pattern: '\\.debian\\.[a-z]+\\.test\\.ts$',
    notice:
      'the clients in Python, C and Go (*.debian.*.test.ts). To run them too, on Debian: ' +
      `apt-get install --no-install-recommends ${missingClients.join(' ')}.`,
  });
}
if (missingBrowsers.length > 0) {
  leftOut.push({
    pattern: '\\.chromium\\.test\\.ts$',
    notice:
      'the page and the client library in a browser (*.chromium.test.ts). To run them too, on Debian: ' +
      'apt-get install --no-install-recommends chromium.',
  });
}

/** Jest's globalTeardown. */
module.exports = async () => {
  for (const { notice } of leftOut) process.stderr.write(`\nLeft out: ${notice}\n`);
};
module.exports.missingPackages = [...missingClients, ...missingBrowsers];
module.exports.chromium = CHROMIUM;
module.exports.patterns = leftOut.map(({ pattern }) => pattern);
