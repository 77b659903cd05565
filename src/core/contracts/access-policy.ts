import type { DatasetId, FileId } from '../ids.js';
import type { Permission } from '../permission.js';
import type { Principal } from '../principal.js';
import { token } from '../token.js';
import type { Reader } from './unit-of-work.js';

/** A condition to be put into a WHERE clause. */
export interface SqlPredicate {
  /** Its parameters are numbered from `firstParameter`. */
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Who may do what. Every check, list and count goes through this one contract. */
export interface AccessPolicy {
  /**
   * Passes when the principal has the permission on a dataset.
   * @throws NotFound when it may not even read it, or it does not exist (deleted ones exist for
   *   those who may restore them only where `includeDeleted` is set)
   * @throws Forbidden when it may read, but not this
   */
  requireDataset(
    tx: Reader,
    principal: Principal,
    dataset: DatasetId,
    permission: Permission,
    options?: { includeDeleted?: boolean },
  ): Promise<void>;

  /**
   * Passes when the principal has the permission on a file: through a grant or an upload of its own,
   * or, to read it, through a version of a dataset that it may read. A hash is no key.
   * @throws NotFound when it may not even read it; Forbidden when it may read, but not this
   */
  requireFile(
    tx: Reader,
    principal: Principal,
    file: FileId,
    permission: Permission,
  ): Promise<void>;

  /** Those of the files that the principal may read. */
  readableFiles(tx: Reader, principal: Principal, files: readonly FileId[]): Promise<Set<FileId>>;

  /**
   * The condition under which a row of `datasets` is readable. It is a semi-join, so that PostgreSQL
   * may start from the few that somebody can read as well as from the table.
   * @param alias the table's alias in the query; `id` is the column that it compares
   * @param firstParameter the number of the first parameter to use, from 1
   * @param permission what the principal must hold; to read, unless told
   */
  readableDatasets(
    principal: Principal,
    alias: string,
    firstParameter: number,
    permission?: Permission,
  ): SqlPredicate;
}

export const ACCESS_POLICY = token<AccessPolicy>('ACCESS_POLICY');
