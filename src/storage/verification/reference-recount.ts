import type { Findings } from './findings.js';
import type { Queries, VerifiedDatabase } from './verified-database.js';

/** How many files are recounted at once. */
const BATCH = 10_000;

/** Rows that refer to files, so that a recount can be compared with `files.reference_count`. */
export interface ReferenceSource {
  /** Such as `dataset_version_files.file_id`. */
  readonly name: string;
  /** A SELECT with one column, `file_id`, with a row for each reference. Takes no parameters. */
  readonly sql: string;
}

interface Mismatch {
  readonly id: number;
  readonly content_hash: string;
  readonly file_path: string;
  readonly reference_count: string;
  readonly found: string;
}

/**
 * Counts each file's references anew and compares. A count and the rows that it counts change in one
 * transaction, and each batch is one statement, hence of one moment: what differs here is wrong,
 * however busy the server is.
 */
export async function recountReferences(
  database: VerifiedDatabase,
  sources: readonly ReferenceSource[],
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  const sql = recountSql(sources);
  for (let after = 0; ;) {
    signal.throwIfAborted();
    const upTo = await endOfBatch(database, after);
    if (upTo === null) return;
    for (const mismatch of await database.query<Mismatch>(sql, [after, upTo])) {
      findings.add({
        kind: 'reference-count',
        fileId: mismatch.id,
        sha256: mismatch.content_hash,
        path: mismatch.file_path,
        expected: mismatch.found,
        actual: mismatch.reference_count,
      });
    }
    after = upTo;
  }
}

/**
 * The references as the schema has them: every foreign key to `files` that keeps a row from being
 * deleted. So every slice's references count, in whichever process it runs.
 */
export async function referencesBySchema(database: Queries): Promise<ReferenceSource[]> {
  const columns = await database.query<{ table_name: string; column_name: string }>(
    `SELECT c.conrelid::regclass::text AS table_name, quote_ident(a.attname) AS column_name
     FROM pg_constraint c
     JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.contype = 'f' AND c.confrelid = 'files'::regclass AND c.confdeltype IN ('a', 'r')
       AND c.conparentid = 0
     ORDER BY 1, 2`,
  );
  return columns.map(({ table_name: table, column_name: column }) => ({
    name: `${table}.${column}`,
    sql: `SELECT ${column} AS file_id FROM ${table} WHERE ${column} IS NOT NULL`,
  }));
}

async function endOfBatch(database: Queries, after: number): Promise<number | null> {
  const [row] = await database.query<{ last: number | null }>(
    `SELECT max(id) AS last FROM (
       SELECT id FROM files WHERE id > $1 ORDER BY id LIMIT ${BATCH}
     ) batch`,
    [after],
  );
  return row?.last ?? null;
}

function recountSql(sources: readonly ReferenceSource[]): string {
  const references = sources.map(({ sql }, i) => `SELECT file_id FROM (${sql}) source_${i}`);
  return `
    SELECT f.id, f.content_hash, f.file_path, f.reference_count, coalesce(r.found, 0) AS found
    FROM files f LEFT JOIN (
      SELECT file_id, count(*) AS found
      FROM (${references.join(' UNION ALL ')}) refs
      WHERE file_id > $1 AND file_id <= $2
      GROUP BY file_id
    ) r ON r.file_id = f.id
    WHERE f.id > $1 AND f.id <= $2 AND f.reference_count <> coalesce(r.found, 0)
    ORDER BY f.id`;
}
