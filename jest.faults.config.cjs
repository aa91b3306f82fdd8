const base = require('./jest.config.cjs');

/** `npm run test:faults`: minutes of faults, apart from `npm test`. */
/** @type {import('jest').Config} */
module.exports = {
  ...base,
  testMatch: ['<rootDir>/test/faults/**/*.test.ts'],
  testPathIgnorePatterns: base.testPathIgnorePatterns.filter((pattern) => pattern !== '/test/faults/'),
  // Faults are mostly waited for.
  maxWorkers: 3,
  globalSetup: '<rootDir>/test/faults/global-setup.ts',
  globalTeardown: '<rootDir>/test/faults/global-teardown.ts',
};
