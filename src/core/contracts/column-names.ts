import { token } from '../token.js';
import type { Reader } from './unit-of-work.js';
import type { VersionEntry } from './versions.js';

/** What the columns of tables are called: for whoever knows schemas to tell the search. */
export interface ColumnNames {
  /**
   * Different names in the order in which they were found, at most `limit`, however many tables; of
   * those alone whose schema has been captured by now (`dataset.schema.captured` tells when).
   */
  ofEntries(
    tx: Reader,
    entries: readonly VersionEntry[],
    limit: number,
  ): Promise<readonly string[]>;
}

export const COLUMN_NAMES = token<ColumnNames>('COLUMN_NAMES');
