import type { DatasetId, FileId, Sha256, UserId, VersionId } from '../ids.js';
import type { JsonObject } from '../json.js';
import { Problem } from '../problems.js';
import { token } from '../token.js';
import type { Reader, Tx } from './unit-of-work.js';

/** A committed version. */
export interface VersionRecord {
  readonly id: VersionId;
  readonly datasetId: DatasetId;
  readonly versionNumber: number;
  readonly digest: Sha256;
  readonly parentId: VersionId | null;
  /** The other parent of a merge. */
  readonly mergeParentId: VersionId | null;
  readonly message: string;
  readonly createdBy: UserId;
  readonly committedAt: Date;
  readonly fileCount: number;
  readonly totalSizeBytes: number;
}

/** A path in a version and the content that stands there. */
export interface VersionEntry {
  readonly path: string;
  readonly fileId: FileId;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  readonly fileType: string | null;
  readonly mimeType: string;
  readonly metadata: JsonObject | null;
  /** Only where the content was purged: all else says what it was like, and `fileId` names the notice. */
  readonly purged?: PurgedContent;
}

/** When and why a content was taken out of a dataset. */
export interface PurgedContent {
  readonly reason: string;
  readonly purgedAt: Date;
}

/** One change of a version against its first parent. */
export type VersionOperation =
  | {
      readonly op: 'put';
      readonly path: string;
      readonly fileId: FileId;
      readonly metadata?: JsonObject | null;
    }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move'; readonly from: string; readonly path: string };

/** What a dataset, or one of its versions, holds. */
export interface VersionStatistics {
  readonly totalFiles: number;
  readonly totalSizeBytes: number;
  /** How many files there are of each type; files without one count under `unknown`. */
  readonly fileTypes: Record<string, number>;
  readonly versionCount: number;
  readonly lastModified: Date | null;
  readonly uniqueContentHashes: number;
}

/** Reading versions, for other slices. */
export interface VersionReader {
  /** @throws NotFound for a ref that names no version of this dataset */
  resolve(tx: Reader, dataset: DatasetId, ref: string): Promise<VersionRecord>;
  /** The version at the head of a branch; null while the branch is empty. */
  head(tx: Reader, dataset: DatasetId, branch: string): Promise<VersionRecord | null>;
  /** The entries of a version in path order (bytes of UTF-8), after a path, at most `limit`. */
  entries(
    tx: Reader,
    version: VersionId,
    page: { prefix?: string; after?: string | null; limit: number },
  ): Promise<VersionEntry[]>;
  /** One path's entry, or null. @throws ContentPurged */
  entry(tx: Reader, version: VersionId, path: string): Promise<VersionEntry | null>;
  /**
   * What a version changes against the version that it is built on (see `builtOn`): entries put, and
   * paths removed as null.
   */
  overlay(
    tx: Reader,
    version: VersionId,
    page: { after?: string | null; limit: number },
  ): Promise<{ path: string; entry: VersionEntry | null }[]>;
  /** The nearest of a version's first parents that has not been removed; null for none. */
  builtOn(tx: Reader, version: VersionId): Promise<VersionRecord | null>;
  /** The versions of a dataset from the oldest, after a number, at most `limit`. */
  list(
    tx: Reader,
    dataset: DatasetId,
    page: { after?: number; limit: number },
  ): Promise<VersionRecord[]>;
  statistics(tx: Reader, dataset: DatasetId, ref: string | null): Promise<VersionStatistics>;
}

export const VERSION_READER = token<VersionReader>('VERSION_READER');

export interface CommitRequest {
  readonly datasetId: DatasetId;
  readonly branch: string;
  readonly author: UserId;
  readonly message: string;
  readonly operations: readonly VersionOperation[];
  /** The version that the caller built on; another head is RefMoved. Undefined takes the head. */
  readonly expectedParent?: VersionId | null;
}

/** Writing versions, for other slices. */
export interface VersionWriter {
  /** Sets up what a new dataset needs to take commits, in the transaction that creates it. */
  initialize(tx: Tx, dataset: DatasetId, defaultBranch: string): Promise<void>;
  /**
   * Commits in the caller's transaction; the caller has checked that the author may write there
   * and may read every file.
   * @throws RefMoved, PathMissing, PathExists, NothingChanged, FileMissing, InvalidInput
   */
  commit(tx: Tx, request: CommitRequest): Promise<VersionRecord>;
  /**
   * Lets a deleted dataset's versions and their references go for good, in batches of its own
   * transactions; stops where the dataset has been restored meanwhile.
   */
  forget(dataset: DatasetId): Promise<void>;
}

export const VERSION_WRITER = token<VersionWriter>('VERSION_WRITER');

/** A branch is not where the caller believed it to be; nothing was changed. */
export class RefMoved extends Problem {
  static override readonly kind = { code: 'ref-moved', status: 412, title: 'The ref has moved' };

  /** @param moved the digests of the versions that were expected and found; null for none */
  constructor(moved: { ref: string; expected: string | null; actual: string | null }) {
    super(
      `${moved.ref} is no longer where you read it; read it again, and build on what is there now.`,
      { ...moved },
    );
  }
}

/** A path that is to be removed or moved is not in the version. */
export class PathMissing extends Problem {
  static override readonly kind = { code: 'path-missing', status: 409, title: 'No such path' };

  constructor(path: string) {
    super(`There is nothing at ${JSON.stringify(path)}; nothing was changed.`, { path });
  }
}

/** A content was taken out of the dataset for good. */
export class ContentPurged extends Problem {
  static override readonly kind = {
    code: 'content-purged',
    status: 410,
    title: 'The content was purged',
  };

  constructor({ path, sha256, purged }: Pick<VersionEntry, 'path' | 'sha256' | 'purged'>) {
    const reason = purged?.reason ?? '';
    const purgedAt = purged?.purgedAt.toISOString() ?? null;
    super(`The content at ${JSON.stringify(path)} was purged: ${reason}`, {
      path,
      sha256,
      reason,
      purgedAt,
    });
  }
}

/** A path that something is to be moved to is taken. */
export class PathExists extends Problem {
  static override readonly kind = { code: 'path-exists', status: 409, title: 'The path is taken' };

  constructor(path: string) {
    super(
      `There is another file at ${JSON.stringify(path)}; remove it in the same commit if it shall be replaced.`,
      { path },
    );
  }
}

/** A commit would leave everything as it is. */
export class NothingChanged extends Problem {
  static override readonly kind = {
    code: 'nothing-changed',
    status: 409,
    title: 'Nothing would change',
  };

  constructor() {
    super('Every path already holds what the operations put there, so no version was made.');
  }
}
