import type { DatasetId, UserId } from '../ids.js';
import type { JsonObject } from '../json.js';
import { token } from '../token.js';
import type { Reader, Tx } from './unit-of-work.js';

/** A dataset as other slices need it. */
export interface DatasetRecord {
  readonly id: DatasetId;
  readonly name: string;
  readonly defaultBranch: string;
  readonly createdBy: UserId;
  readonly metadata: JsonObject;
  readonly deletedAt: Date | null;
}

/**
 * SQL for a changed dataset's new `updated_at`. Strictly later than before, even within one
 * microsecond or when a transaction that began earlier commits later: two states never share an ETag.
 */
export const NEXT_UPDATE = `greatest(now(), updated_at + interval '1 microsecond')`;

export interface DatasetRepository {
  /** @throws NotFound also for a deleted one */
  get(tx: Reader, id: DatasetId): Promise<DatasetRecord>;
  /** Records that a dataset's content changed. */
  touch(tx: Tx, id: DatasetId): Promise<void>;
  /**
   * Puts a deleted dataset beyond restoring once its retention has passed, so that what holds its
   * content may go. True again for one that is beyond it already; false, and nothing changes,
   * where it lives, may still be restored, or does not exist.
   */
  beginForgetting(tx: Tx, id: DatasetId): Promise<boolean>;
}

export const DATASET_REPOSITORY = token<DatasetRepository>('DATASET_REPOSITORY');
