import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Config } from '../config/config.js';
import { asUnavailable } from './database-errors.js';
import { type DatabaseLog, startEmbeddedPostgres } from './embedded-postgres.js';
import { migrate } from './migrate.js';

/** A database that is up and migrated. */
export interface OpenDatabase {
  readonly url: string;
  readonly embedded: boolean;
  /** Stops the embedded server; an outside one is left alone. */
  close(): Promise<void>;
}

/** How long an outside server, which may be starting beside this one, is waited for. */
const OUTSIDE_WAIT_MS = 60_000;
const OUTSIDE_RETRY_MS = 500;

/**
 * Makes the configured database ready: starts the embedded server or waits for the outside one,
 * and runs the migrations. For the embedded one the caller has taken the data directory
 * (`lockDataDir`); with an outside one, replicas may share it.
 *
 * @throws EmbeddedPostgresUnavailable, PostmasterFailed, or what the outside server says
 */
export async function openDatabase(
  config: Pick<Config, 'DATABASE_URL' | 'DATA_DIR'>,
  log: DatabaseLog,
  outsideWaitMs = OUTSIDE_WAIT_MS,
): Promise<OpenDatabase> {
  const server = config.DATABASE_URL
    ? await outside(config.DATABASE_URL, log, outsideWaitMs)
    : await embedded(config.DATA_DIR, log);
  try {
    const { applied } = await migrate(server.url);
    if (applied.length > 0) log.info(`Migrated the database: ${applied.join(', ')}.`);
    return server;
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function embedded(dataDir: string, log: DatabaseLog): Promise<OpenDatabase> {
  const postgres = await startEmbeddedPostgres({ dataDir, log });
  return { url: postgres.url, embedded: true, close: () => postgres.stop() };
}

async function outside(url: string, log: DatabaseLog, waitMs: number): Promise<OpenDatabase> {
  for (let waited = 0; ; waited += OUTSIDE_RETRY_MS) {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return { url, embedded: false, close: async () => undefined };
    } catch (error) {
      if (waited >= waitMs || asUnavailable(error) === null) throw error;
      if (waited === 0) log.warn(`Waiting for the database: ${(error as Error).message}`);
      await sleep(OUTSIDE_RETRY_MS);
    } finally {
      await client.end();
    }
  }
}
