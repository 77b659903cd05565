import { Inject, Injectable, Logger } from '@nestjs/common';
import {
  ObjectMissing,
  STORAGE_BACKEND,
  type ObjectInfo,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { CONFIG, type Config } from '../../platform/config/config.js';

/** How many objects go in one transaction: an upload of one of them waits for all. */
const BATCH = 50;

interface DueRecord {
  readonly object_key: string;
  readonly content_hash: string | null;
  readonly size_bytes: string;
  readonly modified_at: Date | null;
  readonly due: string;
}

/** What became of a record's object; what is `later` or `failed` keeps its record. */
type Outcome = 'deleted' | 'spared' | 'later' | 'failed';

/** What became of the objects that were due. */
export interface DeletionTally {
  objectsDeleted: number;
  bytesFreed: number;
  failures: number;
}

const claim = (kind: string) => `
  SELECT object_key, content_hash, size_bytes, modified_at, due_at::text AS due
  FROM storage_deletions
  WHERE due_at <= now() AND content_hash ${kind}
    AND (due_at, object_key) > ($1::timestamptz, $2)
  ORDER BY storage_deletions.due_at, object_key LIMIT ${BATCH}
  FOR UPDATE SKIP LOCKED`;

const CLAIM_CONTENTS = claim('IS NOT NULL');
const CLAIM_UNNAMED = claim('IS NULL');

// Sorted, as registering uploads does, so that the two never wait for each other in a circle. A row
// that is there is locked by writing nothing new to it: the first phase then passes it by, which
// would otherwise take a record of before for its own.
const PLACEHOLDERS = `
  INSERT INTO files (storage_type, mime_type, file_path, file_size, content_hash)
  SELECT $1, 'application/octet-stream', '', 0, content_hash
  FROM (SELECT DISTINCT content_hash FROM unnest($2::char(64)[]) AS c (content_hash)) contents
  ORDER BY content_hash
  ON CONFLICT (content_hash) DO UPDATE SET file_path = files.file_path
  RETURNING id, content_hash, file_path, xmax = 0 AS is_placeholder`;

/** The second phase of deleting: objects go once they are due and no row names them. */
@Injectable()
export class ObjectDeletions {
  private readonly logger = new Logger(ObjectDeletions.name);

  constructor(
    @Inject(STORAGE_BACKEND) private readonly backend: StorageBackend,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'STAGING_GRACE'>,
  ) {}

  /** Deletes the objects that are due. One that cannot be deleted is left for the next run. */
  async run(signal: AbortSignal): Promise<DeletionTally> {
    const tally = { objectsDeleted: 0, bytesFreed: 0, failures: 0 };
    await this.drain(CLAIM_CONTENTS, (tx, due) => this.deleteContents(tx, due), tally, signal);
    await this.drain(CLAIM_UNNAMED, (tx, due) => this.deleteUnnamed(tx, due), tally, signal);
    return tally;
  }

  private async drain(
    claimSql: string,
    settle: (tx: Tx, due: readonly DueRecord[]) => Promise<Outcome[]>,
    tally: DeletionTally,
    signal: AbortSignal,
  ): Promise<void> {
    for (let after = { due: '-infinity', object_key: '' }; ;) {
      signal.throwIfAborted();
      const { due, outcomes } = await this.unitOfWork.run(async (tx) => {
        // Lost with the database's last moments, this transaction leaves records of nothing.
        await tx.query('SET LOCAL synchronous_commit = off');
        const due = await tx.query<DueRecord>(claimSql, [after.due, after.object_key]);
        const outcomes = await settle(tx, due);
        const settled = due.filter((_, i) => ['deleted', 'spared'].includes(outcomes[i]!));
        await tx.query('DELETE FROM storage_deletions WHERE object_key = ANY ($1)', [
          settled.map((record) => record.object_key),
        ]);
        return { due, outcomes };
      });
      count(due, outcomes, tally);
      // Where nothing at all can be deleted the storage is away, and the rest can wait.
      const isAway = outcomes.every((outcome) => outcome === 'failed');
      if (due.length < BATCH || isAway) return;
      after = due.at(-1)!;
    }
  }

  /**
   * Deletes the objects of contents that no row has. A placeholder, never seen by anybody, stands in
   * for the row meanwhile: it waits for a registration of the same content that is under way, and
   * makes a later one wait until the object is gone, so that no row can come to name it in between.
   */
  private async deleteContents(tx: Tx, due: readonly DueRecord[]): Promise<Outcome[]> {
    const rows = await tx.query<{
      id: number;
      content_hash: string;
      file_path: string;
      is_placeholder: boolean;
    }>(PLACEHOLDERS, [this.backend.type, due.map((record) => record.content_hash)]);
    const living = new Map(
      rows.filter((row) => !row.is_placeholder).map((row) => [row.content_hash, row.file_path]),
    );
    const outcomes = await Promise.all(
      due.map(async ({ object_key: key, content_hash }): Promise<Outcome> =>
        living.get(content_hash!) === key ? 'spared' : this.delete(key),
      ),
    );
    const placeholders = rows.filter((row) => row.is_placeholder).map(({ id }) => id);
    await tx.query('DELETE FROM files WHERE id = ANY ($1)', [placeholders]);
    return outcomes;
  }

  /** Deletes objects of unknown content, unless they have changed since they were noted. */
  private async deleteUnnamed(tx: Tx, due: readonly DueRecord[]): Promise<Outcome[]> {
    const named = await tx.query<{ file_path: string }>(
      'SELECT file_path FROM files WHERE file_path = ANY ($1) ORDER BY content_hash FOR SHARE',
      [due.map((record) => record.object_key)],
    );
    const spared = new Set(named.map((row) => row.file_path));
    const outcomes: Outcome[] = [];
    for (const record of due) {
      const isSpared = spared.has(record.object_key);
      outcomes.push(isSpared ? 'spared' : await this.deleteIfStill(tx, record));
    }
    return outcomes;
  }

  private async deleteIfStill(tx: Tx, record: DueRecord): Promise<Outcome> {
    const key = record.object_key;
    const object = await this.look(key);
    if (object === null) return 'spared';
    const hasLainStill =
      object.sizeBytes === Number(record.size_bytes) &&
      object.modifiedAt.getTime() === record.modified_at?.getTime();
    if (hasLainStill) return this.delete(key);
    await tx.query(
      `UPDATE storage_deletions SET size_bytes = $2, modified_at = $3,
         due_at = now() + $4 * interval '1 millisecond'
       WHERE object_key = $1`,
      [key, object.sizeBytes, object.modifiedAt, this.config.STAGING_GRACE],
    );
    return 'later';
  }

  private async delete(key: string): Promise<Outcome> {
    try {
      return (await this.backend.delete(key)) ? 'deleted' : 'spared';
    } catch (error) {
      this.logger.error({ err: error, path: key }, 'An object could not be deleted');
      return 'failed';
    }
  }

  private async look(key: string): Promise<ObjectInfo | null> {
    try {
      return await this.backend.info(key);
    } catch (error) {
      if (error instanceof ObjectMissing) return null;
      throw error;
    }
  }
}

function count(
  due: readonly DueRecord[],
  outcomes: readonly Outcome[],
  tally: DeletionTally,
): void {
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome === 'failed') tally.failures += 1;
    if (outcome !== 'deleted') continue;
    tally.objectsDeleted += 1;
    tally.bytesFreed += Number(due[i]!.size_bytes);
  }
}
