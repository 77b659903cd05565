import { Inject, Injectable } from '@nestjs/common';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { CommitRequest, VersionRecord, VersionWriter } from '../core/contracts/versions.js';
import type { DatasetId, FileId } from '../core/ids.js';
import { Commits } from './commits.js';
import { parsePointerName } from './graph/ref.js';

/** How many rows one transaction of forgetting lets go. */
const BATCH = 5000;

/**
 * What a dataset leaves behind, in an order in which nothing refers to what has gone; each statement
 * takes the dataset and a limit, and gives the files whose references go.
 */
const FORGETTING = [
  `DELETE FROM dataset_pointers WHERE id IN (
     SELECT id FROM dataset_pointers WHERE dataset_id = $1 LIMIT $2) RETURNING NULL AS "fileId"`,
  `DELETE FROM dataset_deleted_branches WHERE id IN (
     SELECT id FROM dataset_deleted_branches WHERE dataset_id = $1 LIMIT $2)
   RETURNING NULL AS "fileId"`,
  `DELETE FROM dataset_version_files WHERE (version_id, component_name) IN (
     SELECT e.version_id, e.component_name FROM dataset_versions v
     JOIN dataset_version_files e ON e.version_id = v.id WHERE v.dataset_id = $1 LIMIT $2)
   RETURNING file_id AS "fileId"`,
  `DELETE FROM dataset_lineage_files WHERE (lineage_id, component_name) IN (
     SELECT e.lineage_id, e.component_name FROM dataset_lineages l
     JOIN dataset_lineage_files e ON e.lineage_id = l.id WHERE l.dataset_id = $1 LIMIT $2)
   RETURNING NULL AS "fileId"`,
  // A parent is older than its children: the newest go first.
  `DELETE FROM dataset_versions WHERE id IN (
     SELECT id FROM dataset_versions WHERE dataset_id = $1 ORDER BY id DESC LIMIT $2)
   RETURNING overlay_file_id AS "fileId"`,
  `DELETE FROM dataset_purges WHERE id IN (
     SELECT id FROM dataset_purges WHERE dataset_id = $1 LIMIT $2)
   RETURNING notice_file_id AS "fileId"`,
  `DELETE FROM dataset_removals WHERE id IN (
     SELECT id FROM dataset_removals WHERE dataset_id = $1 LIMIT $2)
   RETURNING record_file_id AS "fileId"`,
  `DELETE FROM dataset_lineages WHERE id IN (
     SELECT id FROM dataset_lineages WHERE dataset_id = $1 LIMIT $2) RETURNING NULL AS "fileId"`,
];

/** Writes versions for other slices. */
@Injectable()
export class SqlVersionWriter implements VersionWriter {
  constructor(
    private readonly commits: Commits,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository,
  ) {}

  async initialize(tx: Tx, dataset: DatasetId, defaultBranch: string): Promise<void> {
    await tx.query(
      `INSERT INTO dataset_pointers (dataset_id, pointer_name, is_tag) VALUES ($1, $2, FALSE)`,
      [dataset, parsePointerName(defaultBranch, 'defaultBranch')],
    );
  }

  commit(tx: Tx, request: CommitRequest): Promise<VersionRecord> {
    return this.commits.commit(tx, request);
  }

  async forget(dataset: DatasetId): Promise<void> {
    for (const statement of FORGETTING) {
      while (await this.#forgetBatch(dataset, statement));
    }
  }

  /** Lets one batch go; false when there was none, or the dataset has been restored. */
  async #forgetBatch(dataset: DatasetId, statement: string): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      if (!(await this.datasets.beginForgetting(tx, dataset))) return false;
      const gone = await tx.query<{ fileId: FileId | null }>(statement, [dataset, BATCH]);
      const released = gone.flatMap(({ fileId }) => fileId ?? []);
      if (released.length > 0) await this.files.releaseReferences(tx, released);
      return gone.length > 0;
    });
  }
}
