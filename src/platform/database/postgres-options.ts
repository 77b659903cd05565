import type { ClientBase } from 'pg';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';

/** How long a caller waits for a connection, be it a free one or a new one. */
const CONNECT_TIMEOUT_MS = 15_000;
/** A connection that nobody uses goes back to the server after this. */
const IDLE_CONNECTION_MS = 30_000;

/**
 * What every session starts with. A transaction that sits idle, such as that of a process which
 * has been stopped, may not hold its locks for ever; nor may a query that nobody waits for.
 */
const SESSION = `
  SET default_transaction_isolation = 'read committed';
  SET idle_in_transaction_session_timeout = '2min';
  SET statement_timeout = '10min';
  SET timezone = 'UTC'`;

/** The one way to connect to Varve's database, whoever brings the entities. */
export function postgresOptions(options: {
  url: string;
  poolSize: number;
  /** Told of connections that are lost while idle; the pool replaces them. */
  onPoolError: (error: Error) => void;
}): PostgresDataSourceOptions {
  return {
    type: 'postgres',
    url: options.url,
    applicationName: 'varve',
    synchronize: false,
    migrationsRun: false,
    logging: false,
    uuidExtension: 'pgcrypto',
    installExtensions: false,
    poolSize: options.poolSize,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    poolErrorHandler: options.onPoolError,
    extra: {
      idleTimeoutMillis: IDLE_CONNECTION_MS,
      keepAlive: true,
      onConnect: (client: ClientBase) => client.query(SESSION),
    },
  };
}
