const { NO_RABBITMQ } = require('./test/helpers/left-out.cjs');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // What needs a real RabbitMQ runs where TEST_AMQP_URL names one; globalTeardown says so where it does not.
  testPathIgnorePatterns: ['/node_modules/', ...(NO_RABBITMQ ? ['\\.rabbitmq\\.test\\.ts$'] : [])],
  globalTeardown: '<rootDir>/test/helpers/left-out.cjs',
  transform: { '\\.[jt]s$': '<rootDir>/test/helpers/esbuild-transform.cjs' },
  // These publish ES modules only.
  transformIgnorePatterns: ['/node_modules/(?!(p-limit|yocto-queue)/)'],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/.serverless', '<rootDir>/.cache'],
  injectGlobals: false,
  testTimeout: 30_000,
};
