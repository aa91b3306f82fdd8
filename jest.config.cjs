const leftOut = require('./test/helpers/left-out.cjs');

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // What needs a real RabbitMQ, or clients that are not there; globalTeardown says what was left out.
  testPathIgnorePatterns: ['/node_modules/', '/test/faults/', '/test/aws/', ...leftOut.patterns],
  globalTeardown: '<rootDir>/test/helpers/left-out.cjs',
  transform: { '\\.[jt]s$': '<rootDir>/test/helpers/esbuild-transform.cjs' },
  // ES modules, which Jest runs as CommonJS.
  transformIgnorePatterns: ['/node_modules/(?!jose/)'],
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/.serverless', '<rootDir>/.cache'],
  injectGlobals: false,
  testTimeout: 30_000,
};
