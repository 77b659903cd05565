import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { startEmbeddedPostgres } from '../../src/platform/database/embedded-postgres.js';
import { homeOf } from '../../src/platform/database/embedded/cluster.js';
import { migrate } from '../../src/platform/database/migrate.js';

/** A migrated cluster to copy: making one takes a second of processor time, copying it does not. */
export interface PreparedCluster {
  /** Puts a copy into a data directory, owned as the original is. */
  copyTo(dataDir: string): Promise<void>;
  drop(): Promise<void>;
}

/** Makes a cluster for one test file. Call `drop` in `afterAll`. */
export async function prepareCluster(): Promise<PreparedCluster> {
  const original = await mkdtemp(path.join(tmpdir(), 'varve-prepared-'));
  await chmod(original, 0o755);
  const silent = () => undefined;
  const log = { info: silent, warn: silent, error: silent };
  const postgres = await startEmbeddedPostgres({ dataDir: original, log, fsync: false });
  await migrate(postgres.url).finally(() => postgres.stop());
  return {
    async copyTo(dataDir) {
      await promisify(execFile)('cp', ['-a', homeOf(original), dataDir]);
    },
    drop: () => rm(original, { recursive: true }),
  };
}
