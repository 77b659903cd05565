import {
  RECORDS,
  type ObjectInfo,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import type { Queries } from './verified-database.js';

const BATCH = 1000;
const MAX_EXAMPLES = 100;

/** Objects that no row names: uploads under way and what the collector will take away. */
export interface OrphanCount {
  objects: number;
  sizeBytes: number;
  examples: string[];
}

/** Counts the objects that no row names. They are no fault: the collector is there for them. */
export async function countOrphans(
  database: Queries,
  backend: StorageBackend,
  signal: AbortSignal,
): Promise<OrphanCount> {
  const orphans: OrphanCount = { objects: 0, sizeBytes: 0, examples: [] };
  let batch: ObjectInfo[] = [];
  const flush = async () => {
    signal.throwIfAborted();
    const unnamed = await database.query<{ key: string; size_bytes: string }>(
      `SELECT o.key, o.size_bytes FROM unnest($1::text[], $2::bigint[]) AS o (key, size_bytes)
       WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.file_path = o.key)`,
      [batch.map(({ key }) => key), batch.map(({ sizeBytes }) => sizeBytes)],
    );
    orphans.objects += unnamed.length;
    orphans.sizeBytes += unnamed.reduce((total, object) => total + Number(object.size_bytes), 0);
    const room = MAX_EXAMPLES - orphans.examples.length;
    orphans.examples.push(...unnamed.slice(0, room).map(({ key }) => key));
    batch = [];
  };
  for await (const object of backend.list('')) {
    if (object.key.startsWith(RECORDS)) continue;
    batch.push(object);
    if (batch.length === BATCH) await flush();
  }
  await flush();
  return orphans;
}
