import type { VersionId } from '../ids.js';
import { token } from '../token.js';
import type { Reader } from './unit-of-work.js';

/** What the columns of a version's tables are called: for whoever knows schemas to tell the search. */
export interface ColumnNames {
  /** Different names in the order in which they were found, at most `limit`, however many tables. */
  ofVersion(tx: Reader, version: VersionId, limit: number): Promise<readonly string[]>;
}

export const COLUMN_NAMES = token<ColumnNames>('COLUMN_NAMES');
