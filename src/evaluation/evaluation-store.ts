import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import {
  UNIT_OF_WORK,
  type Reader,
  type Tx,
  type UnitOfWork,
} from '../core/contracts/unit-of-work.js';
import type { FileId } from '../core/ids.js';

const BATCH = 500;

/** How many evaluations there are, or have been. */
export interface EvaluationCounts {
  readonly active: number;
  readonly completed: number;
  readonly failed: number;
}

/** The rows of evaluations. What is over once, by a result, stays so: events may come late. */
@Injectable()
export class EvaluationStore {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
  ) {}

  /** Begins one, or begins one that failed again. @returns whether it has begun now */
  async begin(tx: Tx, id: string, retryCount: number): Promise<boolean> {
    const begun = await tx.query(
      `INSERT INTO evaluations (id, state, retry_count) VALUES ($1, 'active', $2)
       ON CONFLICT (id) DO UPDATE SET state = 'active', retry_count = $2, changed_at = now()
         WHERE evaluations.state = 'failed'
       RETURNING id`,
      [id, retryCount],
    );
    return counted(tx, 'started', begun.length > 0);
  }

  /** Ends one with its failure. @returns whether that has ended it, which had no result yet */
  async fail(tx: Tx, id: string, retryCount: number): Promise<boolean> {
    const failed = await tx.query(
      `INSERT INTO evaluations (id, state, retry_count) VALUES ($1, 'failed', $2)
       ON CONFLICT (id) DO UPDATE SET state = 'failed', retry_count = $2, changed_at = now()
         WHERE evaluations.state <> 'completed'
       RETURNING id`,
      [id, retryCount],
    );
    return counted(tx, 'failed', failed.length > 0);
  }

  /** Ends one; its result follows. @returns whether that has ended it, which had no result yet */
  async complete(tx: Tx, id: string): Promise<boolean> {
    const completed = await tx.query(
      `INSERT INTO evaluations (id, state) VALUES ($1, 'completed')
       ON CONFLICT (id) DO UPDATE SET state = 'completed', changed_at = now()
         WHERE evaluations.state <> 'completed'
       RETURNING id`,
      [id],
    );
    return counted(tx, 'completed', completed.length > 0);
  }

  /** The result's reference is the caller's to have counted. */
  async keepResult(tx: Tx, id: string, file: FileId): Promise<void> {
    await tx.query('UPDATE evaluations SET result_file_id = $2 WHERE id = $1', [id, file]);
  }

  async active(tx: Reader): Promise<number> {
    const [row] = await tx.query<{ n: number }>(
      `SELECT count(*)::integer AS n FROM evaluations WHERE state = 'active'`,
    );
    return row?.n ?? 0;
  }

  counts(): Promise<EvaluationCounts> {
    return this.unitOfWork.read(async (tx) => {
      const totals = await tx.query<{ outcome: string; total: string }>(
        'SELECT outcome, total::text FROM evaluation_totals',
      );
      const of = (wanted: string) =>
        Number(totals.find(({ outcome }) => outcome === wanted)?.total ?? 0);
      return { active: await this.active(tx), completed: of('completed'), failed: of('failed') };
    });
  }

  /** Forgets what nothing has happened to for so long, results included; says how many. */
  async forget(ageMs: number, signal: AbortSignal): Promise<number> {
    for (let total = 0; ;) {
      signal.throwIfAborted();
      const gone = await this.unitOfWork.run(async (tx) => {
        const rows = await tx.query<{ file: FileId | null }>(
          `DELETE FROM evaluations WHERE id IN (
             SELECT id FROM evaluations WHERE changed_at < now() - $1 * interval '1 millisecond'
             ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)
           RETURNING result_file_id AS file`,
          [ageMs, BATCH],
        );
        const files = rows.flatMap(({ file }) => file ?? []);
        if (files.length > 0) await this.files.releaseReferences(tx, files);
        return rows.length;
      });
      total += gone;
      if (gone < BATCH) return total;
    }
  }
}

async function counted(
  tx: Tx,
  outcome: 'started' | 'failed' | 'completed',
  isNew: boolean,
): Promise<boolean> {
  if (isNew) {
    await tx.query('UPDATE evaluation_totals SET total = total + 1 WHERE outcome = $1', [outcome]);
  }
  return isNew;
}
