import { Inject, Injectable, Logger } from '@nestjs/common';
import { DatabaseError } from 'pg';
import { QueryFailedError } from 'typeorm';
import { EVENT_BUS, type EventBus } from '../../core/contracts/event-bus.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { FileId } from '../../core/ids.js';
import { CONFIG, type Config } from '../../platform/config/config.js';

/** How many files go in one transaction. */
const BATCH = 200;

interface Doomed {
  readonly id: FileId;
  readonly since: string;
}

interface DeletedFile {
  readonly id: number;
  readonly content_hash: string;
  readonly file_size: string;
}

// Whatever is locked is being referenced, released or collected by somebody else right now.
const LOCK_DOOMED = `
  SELECT id, unreferenced_since::text AS since FROM files
  WHERE reference_count = 0 AND unreferenced_since <= now() - $1 * interval '1 millisecond'
    AND (unreferenced_since, id) > ($2::timestamptz, $3)
  ORDER BY files.unreferenced_since, id LIMIT $4
  FOR UPDATE SKIP LOCKED`;

// A record of the object may be there already, from a sweep that came by before the row was
// committed. The second phase may have it locked and wait for this transaction, so it is left alone.
// Keys go in sorted, as in a sweep, so that two transactions never wait for each other in a circle.
const DELETE_FILES = `
  WITH deleted AS (
    DELETE FROM files WHERE id = ANY ($1) RETURNING id, content_hash, file_path, file_size
  ), recorded AS (
    INSERT INTO storage_deletions (object_key, content_hash, size_bytes, due_at)
    SELECT file_path, content_hash, file_size, now() FROM deleted ORDER BY file_path
    ON CONFLICT (object_key) DO NOTHING
  )
  SELECT id, content_hash, file_size FROM deleted`;

/** The first phase of deleting: rows that nothing references make way, their objects are noted. */
@Injectable()
export class UnreferencedFiles {
  private readonly logger = new Logger(UnreferencedFiles.name);

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    @Inject(CONFIG) private readonly config: Pick<Config, 'GC_GRACE'>,
  ) {}

  /** Deletes the rows that have been unreferenced for the grace period; says how many. */
  async delete(signal: AbortSignal): Promise<number> {
    let after: Doomed = { id: 0 as FileId, since: '-infinity' };
    let deleted = 0;
    for (;;) {
      signal.throwIfAborted();
      const batch = await this.deleteBatch(after);
      if (batch.last === null) return deleted;
      after = batch.last;
      deleted += batch.deleted;
    }
  }

  private async deleteBatch(after: Doomed): Promise<{ last: Doomed | null; deleted: number }> {
    let doomed: Doomed[] = [];
    try {
      const deleted = await this.unitOfWork.run(async (tx) => {
        doomed = await this.lock(tx, after, BATCH);
        return this.deleteLocked(tx, doomed);
      });
      return { last: doomed.at(-1) ?? null, deleted };
    } catch (error) {
      if (!isForeignKeyViolation(error)) throw error;
      return { last: doomed.at(-1) ?? null, deleted: await this.deleteOneByOne(after, doomed) };
    }
  }

  /** Finds the rows of a batch that are referenced although their count says no, and keeps them. */
  private async deleteOneByOne(after: Doomed, batch: readonly Doomed[]): Promise<number> {
    const last = batch.at(-1)!;
    let deleted = 0;
    for (let previous = after; ;) {
      let current: Doomed | undefined;
      try {
        deleted += await this.unitOfWork.run(async (tx) => {
          [current] = await this.lock(tx, previous, 1);
          return current ? this.deleteLocked(tx, [current]) : 0;
        });
      } catch (error) {
        if (!isForeignKeyViolation(error)) throw error;
        this.logger.error({ fileId: current?.id }, 'A file without references is referenced; kept');
      }
      if (!current || current.id === last.id) return deleted;
      previous = current;
    }
  }

  private lock(tx: Tx, after: Doomed, limit: number): Promise<Doomed[]> {
    return tx.query<Doomed>(LOCK_DOOMED, [this.config.GC_GRACE, after.since, after.id, limit]);
  }

  private async deleteLocked(tx: Tx, doomed: readonly Doomed[]): Promise<number> {
    const files = await tx.query<DeletedFile>(DELETE_FILES, [doomed.map(({ id }) => id)]);
    await this.events.publishAll(
      tx,
      files.map((file) => ({
        type: 'file.deleted',
        subject: `file/${file.id}`,
        data: {
          fileId: file.id,
          sha256: file.content_hash,
          sizeBytes: Number(file.file_size),
        },
      })),
    );
    return files.length;
  }
}

function isForeignKeyViolation(error: unknown): boolean {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  return cause instanceof DatabaseError && cause.code === '23503';
}
