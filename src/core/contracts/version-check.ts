import type { DatasetId, VersionId } from '../ids.js';
import { token } from '../token.js';
import type { Tx } from './unit-of-work.js';
import type { VersionEntry } from './versions.js';

/** One way in which a version would break a rule. */
export interface CheckViolation {
  /** Which rule, such as `maximum-size`. */
  readonly check: string;
  /** The path that breaks it; null where it is about the whole version. */
  readonly path: string | null;
  readonly message: string;
}

/** A version that is about to be made, by a commit, a draft or a merge. */
export interface CandidateVersion {
  readonly datasetId: DatasetId;
  readonly branch: string;
  /** The head that it is built on; null for the first. */
  readonly parentId: VersionId | null;
  readonly fileCount: number;
  readonly totalSizeBytes: number;
  /** What it changes against its first parent, in path order; null where a path is removed. */
  changes(): AsyncIterable<{ readonly path: string; readonly entry: VersionEntry | null }>;
  /** What it holds at some paths. */
  has(paths: readonly string[]): Promise<ReadonlySet<string>>;
}

/**
 * Something that a version must pass before it is made. A slice with rules of its own registers them
 * while modules initialise; every check runs in the transaction that makes the version, and one
 * violation of any of them is enough for nothing to be made.
 */
export interface VersionCheck {
  readonly name: string;
  /** Cheap when the dataset asks for nothing; cost follows the change otherwise. */
  check(tx: Tx, candidate: CandidateVersion): Promise<readonly CheckViolation[]>;
}

/** Where checks are registered. */
export interface VersionChecks {
  register(check: VersionCheck): void;
}

export const VERSION_CHECK = token<VersionChecks>('VERSION_CHECK');
