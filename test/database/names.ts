/** Where the run's PostgreSQL listens: set by global-setup.ts for the test files' processes. */
export const SERVER_URL_VARIABLE = 'VARVE_TEST_SERVER_URL';

/** The migrated database that each test file's own is cloned from. */
export const TEMPLATE = 'varve_template';
