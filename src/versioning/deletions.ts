import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, FileId, UserId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { Refs } from './refs.js';
import { Removals } from './removals.js';
import { RetentionJobs } from './retention-jobs.js';
import { VersionNeeded, type VersionNeeds } from './versioning.problems.js';

/** Deletes versions that nothing needs. Their numbers are never given again. */
@Injectable()
export class Deletions {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    private readonly refs: Refs,
    private readonly removals: Removals,
    private readonly retention: RetentionJobs,
  ) {}

  /** @throws VersionNeeded naming what builds on it or points at it; VersionRemoved, NotFound */
  async delete(tx: Tx, dataset: DatasetId, ref: string, by: UserId): Promise<void> {
    const locked = await this.removals.lock(tx, dataset);
    if (!locked) throw new NotFound(`Dataset ${dataset}`);
    const version = await this.refs.resolve(tx, dataset, ref);
    const needs = await needsOf(tx, version);
    if (needs.children.length + needs.pointers.length + needs.drafts.length > 0) {
      throw new VersionNeeded(version.versionNumber, needs);
    }
    await this.removals.bury(tx, locked, [version.id], { cause: 'deletion', by });
    await this.#release(tx, version.id);
    // Where older versions are gone already it may have been the last to need what they held.
    await this.retention.sweepLater(tx, dataset);
  }

  /** Lets go of what only this version is made of: nobody builds on it. */
  async #release(tx: Tx, version: VersionId): Promise<void> {
    const entries = await tx.query<{ fileId: FileId | null }>(
      'DELETE FROM dataset_version_files WHERE version_id = $1 RETURNING file_id AS "fileId"',
      [version],
    );
    const documents = await tx.query<{ fileId: FileId }>(
      `UPDATE dataset_versions v SET overlay_file_id = NULL FROM dataset_versions old
       WHERE v.id = $1 AND old.id = v.id RETURNING old.overlay_file_id AS "fileId"`,
      [version],
    );
    await this.files.releaseReferences(
      tx,
      [...entries, ...documents].flatMap(({ fileId }) => fileId ?? []),
    );
  }
}

/** What builds on it counts through removed versions as well: it holds what they did. */
async function needsOf(tx: Reader, { id }: VersionRecord): Promise<VersionNeeds> {
  const [needs] = await tx.query<VersionNeeds>(
    `WITH RECURSIVE below AS (
       SELECT id, version_number, status FROM dataset_versions
       WHERE parent_version_id = $1 OR merge_parent_id = $1
       UNION
       SELECT v.id, v.version_number, v.status FROM below b JOIN dataset_versions v
         ON v.parent_version_id = b.id OR v.merge_parent_id = b.id
       WHERE b.status = 'removed'
     )
     SELECT
       ARRAY(SELECT version_number FROM below WHERE status = 'committed'
         ORDER BY 1 LIMIT 100) AS children,
       ARRAY(SELECT pointer_name FROM dataset_pointers WHERE dataset_version_id = $1
         ORDER BY 1 LIMIT 100) AS pointers,
       ARRAY(SELECT id FROM below WHERE status = 'draft' ORDER BY 1 LIMIT 100) AS drafts`,
    [id],
  );
  return needs ?? { children: [], pointers: [], drafts: [] };
}
