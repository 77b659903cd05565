import { access } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DataDirInUse, lockDataDir } from './data-dir-lock.js';
import { asUnavailable } from './database-errors.js';
import { type DatabaseLog, startEmbeddedPostgres } from './embedded-postgres.js';
import { clusterDirOf, homeOf, readCredentials, urlsOf } from './embedded/cluster.js';
import { readPidFile } from './embedded/processes.js';
import { EmbeddedPostgresUnavailable } from './embedded/unavailable.js';

/** The embedded database of a data directory, for as long as a tool needs it. */
export interface EmbeddedConnection {
  readonly url: string;
  /** Whether a server works in the data directory at the same time. */
  readonly shared: boolean;
  /** Stops what was started for this. */
  close(): Promise<void>;
}

/** How long a server that has taken the data directory may need to bring its database up. */
const SERVER_START_MS = 60_000;
const POLL_MS = 100;

/**
 * Gives a command-line tool the embedded database of a data directory: that of the server running
 * there, or one started, and the directory taken, for the duration.
 * @throws EmbeddedPostgresUnavailable where no database has been made yet, or none comes up
 */
export async function connectToEmbedded(
  dataDir: string,
  log: DatabaseLog,
  serverStartMs = SERVER_START_MS,
): Promise<EmbeddedConnection> {
  const clusterDir = clusterDirOf(homeOf(dataDir));
  await access(clusterDir).catch((cause: unknown) => {
    const message = `There is no database in ${path.resolve(dataDir)}.`;
    throw new EmbeddedPostgresUnavailable(message, { cause });
  });
  try {
    const lock = await lockDataDir(dataDir);
    try {
      const postgres = await startEmbeddedPostgres({ dataDir, log });
      const close = () => postgres.stop().finally(() => lock.release());
      return { url: postgres.url, shared: false, close };
    } catch (error) {
      await lock.release();
      throw error;
    }
  } catch (error) {
    if (!(error instanceof DataDirInUse)) throw error;
  }
  for (let waited = 0; waited < serverStartMs; waited += POLL_MS) {
    const url = await urlOfRunning(dataDir);
    if (url !== null) return { url, shared: true, close: async () => undefined };
    await sleep(POLL_MS);
  }
  throw new EmbeddedPostgresUnavailable(
    `A server holds ${path.resolve(dataDir)}, but its database has not come up.`,
  );
}

/** The URL of the server that runs there, if it takes connections: the pid file may be stale. */
async function urlOfRunning(dataDir: string): Promise<string | null> {
  const server = await readPidFile(clusterDirOf(homeOf(dataDir)));
  if (server?.status !== 'ready') return null;
  const { url } = urlsOf(server.port, await readCredentials(homeOf(dataDir)));
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    return url;
  } catch (error) {
    if (asUnavailable(error) === null) throw error;
    return null;
  } finally {
    await client.end();
  }
}
