/**
 * The PostgreSQL of a test run, in a process of its own: it prints where it listens, as a line of
 * JSON, and ends when its standard input does, so that nothing is left behind however the run ends.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../../src/platform/database/embedded-postgres.js';
import { migrate } from '../../src/platform/database/migrate.js';
import { TEMPLATE } from './names.js';

const dataDir = await mkdtemp(path.join(tmpdir(), 'varve-test-'));
const finished = new Promise((resolve) => {
  process.stdin.once('end', resolve).resume();
  process.stdout.once('error', resolve);
  process.once('SIGTERM', resolve);
});
// Whatever goes wrong below; the server itself ends with this process.
process.once('exit', () => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }));
const tell = (message: string) => process.stderr.write(`${message}\n`);
try {
  const postgres = await startEmbeddedPostgres({
    dataDir,
    fsync: false,
    log: { info: tell, warn: tell, error: tell },
  });
  try {
    await makeTemplate(postgres.url);
    process.stdout.write(`${JSON.stringify({ url: postgres.url })}\n`);
    await finished;
  } finally {
    await postgres.stop();
  }
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

async function makeTemplate(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE ${TEMPLATE}`);
  await client.end();
  await migrate(Object.assign(new URL(url), { pathname: `/${TEMPLATE}` }).href);
}
