const base = require('./jest.config.cjs');

/** `npm run check:aws`: every kind of deployment, packaged and checked, apart from `npm test`. */
/** @type {import('jest').Config} */
module.exports = {
  ...base,
  testMatch: ['<rootDir>/test/aws/*.test.ts'],
  testPathIgnorePatterns: base.testPathIgnorePatterns.filter((pattern) => pattern !== '/test/aws/'),
  // Packaging fills the processors by itself.
  maxWorkers: 1,
  verbose: false,
  // It tells what needs a RabbitMQ, and nothing here does.
  globalTeardown: undefined,
};
