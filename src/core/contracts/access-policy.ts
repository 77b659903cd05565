import type { DatasetId, FileId } from '../ids.js';
import type { Principal } from '../principal.js';
import { token } from '../token.js';
import type { Reader } from './unit-of-work.js';

/** What may be done to a resource; each includes the ones before it. */
export type Permission = 'read' | 'write' | 'admin';

/** A condition to be put into a WHERE clause: true for the rows that the principal may read. */
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
   * Passes when the principal may read a file: through a hold of its own or through a version of a
   * dataset that it may read. A hash is no key.
   * @throws NotFound
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
   * The condition under which a row of `datasets` is readable.
   * @param alias the table's alias in the query
   * @param firstParameter the number of the first parameter to use, from 1
   */
  readableDatasets(principal: Principal, alias: string, firstParameter: number): SqlPredicate;
}

export const ACCESS_POLICY = token<AccessPolicy>('ACCESS_POLICY');
