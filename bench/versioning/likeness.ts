import { deepStrictEqual } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Varve } from '../harness/varve.js';
import { pathOf, type Filler } from './filler.js';

const FILES = 300;
const VERSIONS = 40;

/**
 * Fills a small dataset, has the server make the same one by commits, and compares all that the two
 * are stored as: what the benchmark fills in at once is what the server would have written.
 * @throws AssertionError where they differ
 */
export async function requireLikeness(
  filler: Filler,
  varve: Varve,
  database: Client,
): Promise<void> {
  const filled = await filler.dataset('filled');
  const pathAt = (i: number) => (i * 7) % FILES;
  const first = await filler.firstVersion(filled, FILES);
  await filler.rewrites(filled, 'main', first, VERSIONS, pathAt);

  const committed = await filler.dataset('committed');
  const at = `/datasets/${committed.id}/versions`;
  const files = Array.from({ length: FILES }, (_, i) => i);
  const current = new Map(files.map((i) => [i, i]));
  const put = (file: number, content: number) => {
    return { op: 'put', path: pathOf(file), fileId: filler.content(content).id };
  };
  await varve.call('POST', at, { message: 'version 1', operations: files.map((i) => put(i, i)) });
  for (let i = 0; i < VERSIONS; i++) {
    const file = pathAt(i);
    const content = (current.get(file) ?? 0) + 1;
    current.set(file, content);
    await varve.call('POST', at, { message: `version ${i + 2}`, operations: [put(file, content)] });
  }
  deepStrictEqual(await storedAs(database, filled.id), await storedAs(database, committed.id));
  deepStrictEqual(await firstFault(varve, filled.id), null);
}

/** Has the server prove a history: the first version that is not as its digest says. */
async function firstFault(varve: Varve, dataset: number): Promise<unknown> {
  const { id } = await varve.call<Job>('POST', `/admin/verify?dataset=${dataset}`, {});
  for (;;) {
    const job = await varve.call<Job>('GET', `/jobs/${id}`);
    if (job.state === 'completed') return job.result.firstFault;
    if (job.state !== 'queued' && job.state !== 'running') throw new Error(`it ${job.state}`);
    await sleep(50);
  }
}

interface Job {
  readonly id: number;
  readonly state: string;
  readonly result: { readonly firstFault: unknown };
}

/** All that is stored of a dataset's versions, but ids, times and digests. */
async function storedAs(database: Client, dataset: number): Promise<unknown> {
  const { rows } = await database.query(
    `SELECT v.version_number, v.status, p.version_number AS parent, v.message, v.created_by,
       v.file_count, v.total_size, v.lineage_depth, v.lineage_rows, v.snapshot_lineage_id,
       o.version_number AS origin, l.ancestor_depths, l.ancestor_rows, l.base_rows,
       l.id - min(l.id) OVER () AS lineage, d.storage_type, d.file_type, d.mime_type,
       d.reference_count, d.metadata, d.compression_type,
       (SELECT array_agg((e.component_name, e.file_id, e.component_type, e.component_index,
          e.metadata, e.lineage_depth)::text ORDER BY e.component_name)
        FROM dataset_version_files e WHERE e.version_id = v.id AND e.lineage_id = v.lineage_id) AS entries
     FROM dataset_versions v
     JOIN dataset_lineages l ON l.id = v.lineage_id
     JOIN files d ON d.id = v.overlay_file_id
     LEFT JOIN dataset_versions p ON p.id = v.parent_version_id
     LEFT JOIN dataset_versions o ON o.id = l.origin_version_id
     WHERE v.dataset_id = $1 ORDER BY v.version_number`,
    [dataset],
  );
  return rows;
}
