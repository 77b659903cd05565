import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionId } from '../core/ids.js';
import { VersionRemoved } from './versioning.problems.js';

/**
 * To be called where a version was not found.
 * @param where a condition on `dataset_versions v` that the version would fulfil
 * @throws VersionRemoved where it was there once
 */
export async function refuseRemoved(
  tx: Reader,
  where: string,
  parameters: readonly unknown[],
): Promise<void> {
  const [removed] = await tx.query<{ versionNumber: number; removedAt: Date; cause: string }>(
    `SELECT v.version_number AS "versionNumber", v.removed_at AS "removedAt", r.cause
     FROM dataset_versions v JOIN dataset_removals r ON r.id = v.removal_id WHERE ${where} LIMIT 1`,
    parameters,
  );
  if (removed) throw new VersionRemoved(removed);
}

/** Those of some versions of which only a tombstone is left. */
export async function removedAmong(
  tx: Reader,
  versions: readonly VersionId[],
): Promise<Set<VersionId>> {
  const rows = await tx.query<{ id: VersionId }>(
    `SELECT id FROM dataset_versions WHERE id = ANY($1::integer[]) AND status = 'removed'`,
    [versions],
  );
  return new Set(rows.map(({ id }) => id));
}
