/** Unit specs stand beside the code; everything that needs a server is under test/. */
export default {
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testRegex: '\\.spec\\.ts$',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': ['@swc/jest'] },
  testEnvironment: 'node',
  setupFiles: ['<rootDir>/test/typescript-children.ts'],
  globalSetup: '<rootDir>/test/database/global-setup.ts',
  globalTeardown: '<rootDir>/test/database/global-teardown.ts',
  // Ends what hangs; no test is about time, and the machine may be a busy one.
  testTimeout: 300_000,
  maxWorkers: 2,
  // Of each file that a worker has run some stays with it, which makes those behind it ever slower.
  workerIdleMemoryLimit: '1GB',
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.spec.ts'],
  coverageReporters: ['text', 'json-summary', 'lcovonly'],
  coverageThreshold: { global: { lines: 90, branches: 90 } },
};
