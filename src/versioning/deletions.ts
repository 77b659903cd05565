import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, FileId, LineageId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { Refs } from './refs.js';
import { VersionNeeded, type VersionNeeds } from './versioning.problems.js';

/** Deletes versions that nothing needs. Their numbers are never given again. */
@Injectable()
export class Deletions {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    private readonly refs: Refs,
  ) {}

  /** @throws VersionNeeded naming what builds on it or points at it; NotFound */
  async delete(tx: Tx, dataset: DatasetId, ref: string): Promise<void> {
    // The lock of commits and pointers: nothing begins to need the version meanwhile.
    const locked = await tx.query(
      'SELECT 1 FROM datasets WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE',
      [dataset],
    );
    if (locked.length === 0) throw new NotFound(`Dataset ${dataset}`);
    const version = await this.refs.resolve(tx, dataset, ref);
    const needs = await needsOf(tx, version);
    if (needs.children.length + needs.pointers.length + needs.drafts.length > 0) {
      throw new VersionNeeded(version.versionNumber, needs);
    }
    await this.#remove(tx, version);
  }

  async #remove(tx: Tx, version: VersionRecord): Promise<void> {
    const entries = await tx.query<{ fileId: FileId | null }>(
      'DELETE FROM dataset_version_files WHERE version_id = $1 RETURNING file_id AS "fileId"',
      [version.id],
    );
    const [gone] = await tx.query<{
      overlayFileId: FileId;
      lineageId: LineageId;
      snapshotId: LineageId | null;
    }>(
      `DELETE FROM dataset_versions WHERE id = $1 RETURNING overlay_file_id AS "overlayFileId",
         lineage_id AS "lineageId", snapshot_lineage_id AS "snapshotId"`,
      [version.id],
    );
    if (!gone) throw new NotFound(`Version ${version.versionNumber}`);
    await this.files.releaseReferences(tx, [
      ...entries.flatMap(({ fileId }) => fileId ?? []),
      gone.overlayFileId,
    ]);
    // A leaf's snapshot is nobody else's to read, nor is a lineage on which no version is left.
    for (const lineage of [gone.snapshotId, gone.lineageId]) {
      if (lineage === null) continue;
      const dropped = await tx.query(
        `DELETE FROM dataset_lineages l WHERE id = $1 AND NOT EXISTS (
           SELECT FROM dataset_versions v WHERE v.lineage_id = l.id OR v.snapshot_lineage_id = l.id
         ) RETURNING id`,
        [lineage],
      );
      if (dropped.length > 0) {
        await tx.query('DELETE FROM dataset_lineage_files WHERE lineage_id = $1', [lineage]);
      }
    }
  }
}

async function needsOf(tx: Reader, { id }: VersionRecord): Promise<VersionNeeds> {
  const [needs] = await tx.query<VersionNeeds>(
    `SELECT
       ARRAY(SELECT version_number FROM dataset_versions
         WHERE (parent_version_id = $1 OR merge_parent_id = $1) AND status = 'committed'
         ORDER BY 1 LIMIT 100) AS children,
       ARRAY(SELECT pointer_name FROM dataset_pointers WHERE dataset_version_id = $1
         ORDER BY 1 LIMIT 100) AS pointers,
       ARRAY(SELECT id FROM dataset_versions WHERE parent_version_id = $1 AND status = 'draft'
         ORDER BY 1 LIMIT 100) AS drafts`,
    [id],
  );
  return needs ?? { children: [], pointers: [], drafts: [] };
}
