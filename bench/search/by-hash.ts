import type { Bench } from '../harness/bench.js';
import { inMilliseconds } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { TimedRequests } from '../versioning/timed-requests.js';
import { fill } from './filling.js';

/** How many datasets the entries lie in, and how often each content is used. */
const PATHS = 1_000;
const USES = 20;
const ENTRIES = 'dataset_version_files';

const digestOf = (file: number): string => `md5('${file}') || md5('${file}')`;

/** A page of a content's places, among few and among many version entries. */
export const byHash = race('a content by its digest', async (bench) => {
  const large = await entries(bench, bench.quick ? 20_000 : 10_000_000);
  const small = await entries(bench, bench.quick ? 10_000 : 10_000);
  return {
    rounds: 60,
    warmUps: 5,
    figure: inMilliseconds,
    contestants: [large, small],
    comparisons: [{ contestant: large.name, against: small.name, atMost: 1.5 }],
  };
});

/** Versions of a thousand paths each, a dataset per version; every content stands in twenty of them. */
async function entries(bench: Bench, count: number): Promise<Contestant> {
  const varve = await bench.startVarve(`entries-${count}`);
  const database = await varve.connectToDatabase({ asSuperuser: true });
  bench.defer(() => database.end());
  const versions = count / PATHS;
  const files = count / USES;
  const tables = ['files', 'datasets', 'dataset_lineages', 'dataset_versions', ENTRIES];
  await fill(database, tables, [
    // Reading is the same, and filling writes half as much.
    `ALTER TABLE ${ENTRIES} SET UNLOGGED`,
    `INSERT INTO files (id, storage_type, mime_type, file_path, file_size, content_hash,
       reference_count, unreferenced_since)
     SELECT n, 'local', 'text/csv', n, 1, md5(n::text) || md5(n::text), 1, NULL
     FROM generate_series(1, ${files}) n`,
    `INSERT INTO datasets (id, name, created_by) SELECT n, 'dataset ' || n, 1
     FROM generate_series(1, ${versions}) n`,
    `INSERT INTO dataset_lineages (id, dataset_id) SELECT n, n FROM generate_series(1, ${versions}) n`,
    `INSERT INTO dataset_versions (id, dataset_id, version_number, status, created_by, committed_at,
       overlay_file_id, digest, file_count, lineage_id, lineage_depth, lineage_rows)
     SELECT n, n, 1, 'committed', 1, now(), 1, md5(n::text) || md5(n::text), ${PATHS}, n, 1, ${PATHS}
     FROM generate_series(1, ${versions}) n`,
    `INSERT INTO ${ENTRIES} (version_id, component_name, file_id, lineage_id, lineage_depth)
     SELECT v, 'part-' || lpad(p::text, 4, '0'), 1 + (v * ${PATHS}::bigint + p) % ${files}, v, 1
     FROM generate_series(1, ${versions}) v, generate_series(1, ${PATHS}) p`,
  ]);
  const requests = new TimedRequests(varve);
  bench.defer(() => requests.close());
  let turn = 0;
  return {
    name: `${count.toLocaleString('en-US')} entries`,
    note: `a content in ${USES} places, another one each time, with the versions that have it`,
    async run() {
      turn += 1;
      const file = 1 + ((turn * 7919) % files);
      const { rows } = await database.query<{ sha256: string }>(
        `SELECT ${digestOf(file)} AS sha256`,
      );
      const { seconds, body } = await requests.get<{ items: unknown[] }>(
        `/search/files/${rows[0]?.sha256}`,
      );
      if (body.items.length !== USES) throw new Error(`${body.items.length} places`);
      return seconds;
    },
  };
}
