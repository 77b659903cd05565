import { NEXT_UPDATE } from '../core/contracts/dataset-repository.js';
import type { PreparedSql, Tx } from '../core/contracts/unit-of-work.js';
import { RefMoved, type VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { HAS_QUOTA } from './dataset-limits.js';
import { parsePointerName } from './graph/ref.js';
import { BranchProtected, NotABranch } from './versioning.problems.js';
import { VERSION_COLUMNS, toVersionRecord, versionById, type RecordRow } from './version-rows.js';

/** A branch that is locked for a commit: nobody else commits to the dataset until it has ended. */
export interface LockedBranch {
  readonly datasetId: DatasetId;
  readonly datasetName: string;
  readonly branch: string;
  readonly pointerId: number;
  readonly versionNumber: number;
  readonly isProtected: boolean;
  /** Contents must be looked up before they are added: some were purged. */
  readonly hasPurges: boolean;
  /** The dataset or its owner may hold so many bytes and no more. */
  readonly hasQuota: boolean;
  /** The dataset is recorded as changed already. */
  readonly isTouched: boolean;
  readonly head: VersionRecord | null;
}

const LOCK_DATASET: PreparedSql = {
  name: 'lock-dataset-for-commit',
  text: `UPDATE datasets d SET last_version_number = last_version_number + 1,
      updated_at = CASE WHEN $2 THEN ${NEXT_UPDATE} ELSE updated_at END
    WHERE id = $1 AND deleted_at IS NULL
    RETURNING name, default_branch AS "defaultBranch", last_version_number AS "versionNumber",
      has_purges AS "hasPurges", ${HAS_QUOTA} AS "hasQuota"`,
};

const BRANCH: PreparedSql = {
  name: 'branch-with-head',
  text: `SELECT p.id AS "pointerId", p.is_tag AS "isTag", p.is_protected AS "isProtected", ${VERSION_COLUMNS}
    FROM dataset_pointers p
    LEFT JOIN dataset_versions v ON v.id = p.dataset_version_id AND v.status = 'committed'
    WHERE p.dataset_id = $1 AND p.pointer_name = $2`,
};

interface BranchRow {
  readonly pointerId: number;
  readonly isTag: boolean;
  readonly isProtected: boolean;
}

/**
 * Locks a branch for a commit and takes the next version number.
 * @param name null for the dataset's default branch
 * @param options `forMerge` for what may turn out to make no version, and may move protected branches
 * @throws NotFound, NotABranch, BranchProtected
 */
export async function lockBranch(
  tx: Tx,
  datasetId: DatasetId,
  name: string | null,
  { forMerge = false } = {},
): Promise<LockedBranch> {
  const wanted = name === null ? null : parsePointerName(name, 'branch');
  // The row lock on the dataset orders its commits; whoever loses gives the number back.
  const [dataset] = await tx.query<{
    name: string;
    defaultBranch: string;
    versionNumber: number;
    hasPurges: boolean;
    hasQuota: boolean;
  }>(LOCK_DATASET, [datasetId, !forMerge]);
  if (!dataset) throw new NotFound(`Dataset ${datasetId}`);
  const branch = wanted ?? dataset.defaultBranch;
  // Only a statement that begins after the lock was had sees where its last holder has left the
  // branch. It needs no lock of its own: whoever moves one has the dataset's.
  const [row] = await tx.query<BranchRow & (RecordRow | { id: null })>(BRANCH, [datasetId, branch]);
  if (!row) throw new NotFound(`Branch ${JSON.stringify(branch)} of dataset ${datasetId}`);
  const { pointerId, isTag, isProtected, ...head } = row;
  if (isTag) throw new NotABranch(branch);
  if (isProtected && !forMerge) throw new BranchProtected(branch);
  return {
    datasetId,
    datasetName: dataset.name,
    branch,
    pointerId,
    versionNumber: dataset.versionNumber,
    isProtected,
    hasPurges: dataset.hasPurges,
    hasQuota: dataset.hasQuota,
    isTouched: !forMerge,
    head: head.id === null ? null : toVersionRecord(head),
  };
}

/** @throws RefMoved when the branch's head is another version */
export async function requireHead(
  tx: Tx,
  { branch, head }: LockedBranch,
  expected: VersionId | null,
): Promise<void> {
  if ((head?.id ?? null) === expected) return;
  throw new RefMoved({
    ref: branch,
    expected: expected === null ? null : ((await versionById(tx, expected))?.digest ?? null),
    actual: head?.digest ?? null,
  });
}

/** Gives the number of a commit back that turns out to make no version. */
export async function releaseNumber(tx: Tx, { datasetId }: LockedBranch): Promise<void> {
  await tx.query(
    'UPDATE datasets SET last_version_number = last_version_number - 1 WHERE id = $1',
    [datasetId],
  );
}
