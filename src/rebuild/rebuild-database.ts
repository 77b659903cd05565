import { CannotStart } from '../core/cannot-start.js';
import type { Reader, UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { RecordName } from '../records/record-format.js';
import { referencesBySchema } from '../storage/verification/reference-recount.js';

/** A database that anybody has used has rows in one of these. */
const USED = ['users', 'groups', 'files', 'datasets', 'events'];

/** How many files are recounted at once. */
const BATCH = 10_000;

/** The database that is being filled: whether it may be, and what has to be true of it at the end. */
export class RebuildDatabase {
  constructor(private readonly unitOfWork: UnitOfWork) {}

  /**
   * Notes that a rebuild is under way, from when on no server starts on this database.
   * @returns whether one was under way before, which this one goes on with
   * @throws CannotStart where the database holds something
   */
  async begin(origin: string): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      const [begun] = await tx.query<{ origin: string; isFinished: boolean }>(
        'SELECT origin, finished_at IS NOT NULL AS "isFinished" FROM rebuilds',
      );
      if (begun && !begun.isFinished) {
        if (begun.origin === origin) return true;
        throw new CannotStart(
          `This database is being rebuilt from the records of ${begun.origin}, not of ${origin}; give that origin, or another empty database.`,
        );
      }
      const full = await this.#firstTableWithRows(tx);
      if (begun !== undefined || full !== null) {
        throw new CannotStart(
          `The database is not empty${full === null ? '' : `: its table ${full} holds rows`}. A rebuild fills a new, empty database; make one, or move the old one away, and run it again.`,
        );
      }
      await tx.query('INSERT INTO rebuilds (origin) VALUES ($1)', [origin]);
      return false;
    });
  }

  /**
   * Counts each file's references anew, by every foreign key that refers to files. What has no bytes
   * and is needed by nobody, such as what removed versions held, goes.
   */
  async recount(progress: (files: number) => void): Promise<void> {
    const sources = await this.unitOfWork.read((tx) => referencesBySchema(tx));
    const references = sources.map(({ sql }, i) => `SELECT file_id FROM (${sql}) source_${i}`);
    for (let after = 0, files = 0; ;) {
      const [batch] = await this.unitOfWork.run((tx) =>
        tx.query<{ last: number | null; count: number }>(
          `WITH batch AS (SELECT id FROM files WHERE id > $1 ORDER BY id LIMIT ${BATCH}),
           found AS (
             SELECT b.id, count(r.file_id) AS count FROM batch b
             LEFT JOIN (${references.join(' UNION ALL ')}) r ON r.file_id = b.id GROUP BY b.id
           ),
           counted AS (
             UPDATE files f SET reference_count = n.count,
               unreferenced_since = CASE WHEN n.count = 0 THEN now() END
             FROM found n WHERE f.id = n.id AND f.reference_count <> n.count
           )
           SELECT max(id) AS last, count(*)::integer AS count FROM batch`,
          [after],
        ),
      );
      if (!batch || batch.last === null) break;
      after = batch.last;
      files += batch.count;
      progress(files);
    }
    await this.unitOfWork.run((tx) =>
      tx.query('DELETE FROM files WHERE damaged_at IS NOT NULL AND reference_count = 0'),
    );
  }

  /**
   * Takes the lost database's place: its origin, the sequences of its records, and ids that go on
   * after all that were ever given.
   */
  async finish(origin: string, newest: Iterable<RecordName>): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await tx.query('UPDATE record_origin SET id = $1', [origin]);
      const highest: Record<string, number> = {};
      for (const chunk of chunks(newest, BATCH)) {
        for (const { kind, id } of chunk) highest[kind] = Math.max(highest[kind] ?? 0, id);
        await tx.query(
          `INSERT INTO storage_records (kind, subject_id, sequence)
           SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[]) ON CONFLICT DO NOTHING`,
          [
            chunk.map(({ kind }) => kind),
            chunk.map(({ id }) => id),
            chunk.map(({ sequence }) => sequence),
          ],
        );
      }
      for (const table of ['dataset', 'group', 'user']) {
        await tx.query(
          `SELECT setval(pg_get_serial_sequence($1, 'id'),
             greatest($2::integer, (SELECT max(id) FROM ${table}s), 1))`,
          [`${table}s`, highest[table] ?? 0],
        );
      }
      await tx.query('DELETE FROM rebuild_versions');
      await tx.query('UPDATE rebuilds SET finished_at = now()');
    });
  }

  async #firstTableWithRows(tx: Reader): Promise<string | null> {
    for (const name of USED) {
      const rows = await tx.query(`SELECT FROM ${name} LIMIT 1`);
      if (rows.length > 0) return name;
    }
    return null;
  }
}

/** Pieces of at most `size`, in order. */
export function* chunks<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
