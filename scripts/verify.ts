/**
 * Verifies the storage from outside: `npm run verify -- --data-dir ./data`. Needs nothing of a
 * running server, and works beside one as well as while there is none.
 *
 * Exits with 0 when nothing is wrong, 1 when something is, 2 when it could not be told.
 */
import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Pool, type ClientBase } from 'pg';
import { readConfig } from '../src/platform/config/config.js';
import { connectToEmbedded } from '../src/platform/database/connect-to-embedded.js';
import { Sha256Workers } from '../src/storage/artifact/sha256-workers.js';
import { createStorageBackend } from '../src/storage/backend/backend.factory.js';
import { referencesBySchema } from '../src/storage/verification/reference-recount.js';
import { describeReport } from '../src/storage/verification/report-text.js';
import type { Queries, VerifiedDatabase } from '../src/storage/verification/verified-database.js';
import { Verifier, type VerificationReport } from '../src/storage/verification/verifier.js';

const USAGE = `Usage: npm run verify -- [options]

  --data-dir <path>       the server's DATA_DIR (default: the variable, or ./data)
  --database-url <url>    an outside PostgreSQL (default: DATABASE_URL, or the one in the data
                          directory)
  --storage-url <url>     where bytes lie (default: STORAGE_URL, or the data directory)
  --no-hash               look for bytes and measure them, but do not read them
  --json                  print the report as JSON
  --help                  print this`;

interface Options {
  readonly environment: NodeJS.ProcessEnv;
  readonly hash: boolean;
  readonly json: boolean;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      'data-dir': { type: 'string' },
      'database-url': { type: 'string' },
      'storage-url': { type: 'string' },
      hash: { type: 'boolean', default: true },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  if (values.help) return null;
  return {
    environment: {
      ...process.env,
      ...(values['data-dir'] && { DATA_DIR: values['data-dir'] }),
      ...(values['database-url'] && { DATABASE_URL: values['database-url'] }),
      ...(values['storage-url'] && { STORAGE_URL: values['storage-url'] }),
    },
    hash: values.hash,
    json: values.json,
  };
}

async function verify({ environment, hash }: Options): Promise<VerificationReport> {
  const config = readConfig(environment);
  const needsDataDir = !config.DATABASE_URL || !config.STORAGE_URL;
  // Opening what is not there would make it, and then find nothing wrong with it.
  if (needsDataDir && !(await isDirectory(config.DATA_DIR))) {
    throw new Error(`There is no data directory ${config.DATA_DIR}.`);
  }
  const server = config.DATABASE_URL
    ? { url: config.DATABASE_URL, close: async () => undefined }
    : await connectToEmbedded(config.DATA_DIR, {
        info: () => undefined,
        warn: console.error,
        error: console.error,
      });
  const pool = new Pool({ connectionString: server.url, max: 4, application_name: 'varve verify' });
  pool.on('error', () => undefined);
  const workers = new Sha256Workers();
  try {
    const database = databaseOf(pool);
    const backend = await createStorageBackend(config.STORAGE_URL, config);
    const sources = await referencesBySchema(database);
    const verifier = new Verifier(database, backend, sources, workers);
    return await verifier.verify({ hash, signal: new AbortController().signal });
  } finally {
    await workers.close();
    await pool.end();
    await server.close();
  }
}

function databaseOf(pool: Pool): VerifiedDatabase {
  const over = (client: Pool | ClientBase): Queries => ({
    query: async <Row>(sql: string, parameters: readonly unknown[] = []) =>
      (await client.query(sql, [...parameters])).rows as Row[],
  });
  return {
    ...over(pool),
    async transaction(work) {
      const client = await pool.connect();
      let failure: Error | undefined;
      try {
        await client.query('BEGIN');
        const result = await work(over(client));
        await client.query('COMMIT');
        return result;
      } catch (error) {
        // The connection is closed with its transaction.
        failure = error as Error;
        throw error;
      } finally {
        client.release(failure);
      }
    },
  };
}

async function isDirectory(directory: string): Promise<boolean> {
  const found = await stat(directory).catch(() => null);
  return found?.isDirectory() ?? false;
}

try {
  const options = readOptions();
  if (!options) {
    console.log(USAGE);
  } else {
    const report = await verify(options);
    console.log(options.json ? JSON.stringify(report, null, 2) : describeReport(report));
    process.exitCode = report.ok ? 0 : 1;
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
