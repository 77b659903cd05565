import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { FileId } from '../../core/ids.js';

/** How many files' holds go in one transaction. */
const BATCH = 200;

// Files before holds, as an upload locks them; and neither is waited for: whoever has one locked may
// be about to renew the hold, and what is passed by now is found by the next run.
const LOCK_FILES = `
  SELECT id FROM files
  WHERE id IN (
    SELECT file_id FROM upload_holds WHERE expires_at <= now() ORDER BY expires_at LIMIT $1
  )
  FOR UPDATE SKIP LOCKED`;

const DELETE_HOLDS = `
  WITH expired AS (
    SELECT file_id, user_id FROM upload_holds
    WHERE file_id = ANY ($1) AND expires_at <= now()
    FOR UPDATE SKIP LOCKED
  ), deleted AS (
    DELETE FROM upload_holds h USING expired e
    WHERE h.file_id = e.file_id AND h.user_id = e.user_id
    RETURNING h.file_id
  )
  SELECT file_id FROM deleted`;

/** Lets uploads go that nobody has put anywhere in time. */
@Injectable()
export class ExpiredHolds {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
  ) {}

  /** Gives the references of expired holds back; says how many. */
  async release(signal: AbortSignal): Promise<number> {
    let released = 0;
    for (;;) {
      signal.throwIfAborted();
      const batch = await this.releaseBatch();
      if (batch === 0) return released;
      released += batch;
    }
  }

  private releaseBatch(): Promise<number> {
    return this.unitOfWork.run(async (tx) => {
      const locked = await tx.query<{ id: FileId }>(LOCK_FILES, [BATCH]);
      if (locked.length === 0) return 0;
      const holds = await tx.query<{ file_id: FileId }>(DELETE_HOLDS, [locked.map(({ id }) => id)]);
      await this.files.releaseReferences(
        tx,
        holds.map((hold) => hold.file_id),
      );
      return holds.length;
    });
  }
}
