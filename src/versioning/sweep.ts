import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId, FileId, LineageId, VersionId } from '../core/ids.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import {
  edgeParameters,
  readEdge,
  SWEEP_ROWS,
  type Edge,
  type IsKept,
  type SweptRow,
} from './sweep-sql.js';

/** How many rows one transaction looks at. */
const ROWS = 2000;

/** How many versions' rows are gone through together. */
const VERSIONS = 500;

/** What sweeping took away. */
export interface SweepTally {
  /** Paths of removed versions that no version holds any more. */
  entries: number;
  /** Contents that nothing refers to any more; the collector takes them. */
  files: number;
  bytes: number;
}

/**
 * Takes away what only removed versions held: their rows, then their overlay documents, and what was
 * copied for reading them. Each batch is a transaction of its own with its references; what one did
 * not get to is found again, so that it may be killed at any moment.
 */
@Injectable()
export class Sweep {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(FILE_CATALOG) private readonly files: Pick<FileCatalog, 'releaseReferences'>,
    @Inject(CONFIG) private readonly config: Pick<Config, 'REMOVAL_GRACE'>,
  ) {}

  /** Sweeps a dataset where versions have been removed since it last was, a grace ago or more. */
  async run(dataset: DatasetId, signal: AbortSignal): Promise<SweepTally> {
    const tally: SweepTally = { entries: 0, files: 0, bytes: 0 };
    const due = await this.#due(dataset);
    if (due.length === 0) return tally;
    const edge = await this.unitOfWork.read((tx) =>
      readEdge(tx, dataset, this.#isKept, [this.config.REMOVAL_GRACE]),
    );
    for (let after = 0 as VersionId; ;) {
      const versions = await this.#removedAfter(dataset, after);
      const last = versions.at(-1);
      if (last === undefined) break;
      await this.#sweepRows(dataset, versions, edge, tally, signal);
      await this.#sweepDocuments(dataset, versions, tally);
      after = last;
    }
    await this.#sweepCopies(dataset, signal);
    await this.unitOfWork.run((tx) =>
      tx.query('UPDATE dataset_removals SET swept_at = now() WHERE id = ANY($1::integer[])', [due]),
    );
    return tally;
  }

  /** Datasets that are to be swept. */
  async waiting(): Promise<DatasetId[]> {
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ id: DatasetId }>(
        `SELECT DISTINCT dataset_id AS id FROM dataset_removals
         WHERE swept_at IS NULL AND removed_at <= now() - $1 * interval '1 millisecond' ORDER BY 1`,
        [this.config.REMOVAL_GRACE],
      ),
    );
    return rows.map(({ id }) => id);
  }

  /** What was removed a moment ago may still be being read: it counts as kept. */
  readonly #isKept: IsKept = (alias) =>
    `(${alias}.status = 'committed' OR ${alias}.removed_at > now() - $2 * interval '1 millisecond')`;

  async #due(dataset: DatasetId): Promise<number[]> {
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ id: number }>(
        `SELECT id FROM dataset_removals WHERE dataset_id = $1 AND swept_at IS NULL
           AND removed_at <= now() - $2 * interval '1 millisecond' ORDER BY id`,
        [dataset, this.config.REMOVAL_GRACE],
      ),
    );
    return rows.map(({ id }) => id);
  }

  /** The next removed versions that have rows left; those that have none have no document either. */
  async #removedAfter(dataset: DatasetId, after: VersionId): Promise<VersionId[]> {
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ id: VersionId }>(
        `SELECT id FROM dataset_versions
         WHERE dataset_id = $1 AND status = 'removed' AND overlay_file_id IS NOT NULL AND id > $2
           AND removed_at <= now() - $3 * interval '1 millisecond' ORDER BY id LIMIT $4`,
        [dataset, after, this.config.REMOVAL_GRACE, VERSIONS],
      ),
    );
    return rows.map(({ id }) => id);
  }

  async #sweepRows(
    dataset: DatasetId,
    versions: readonly VersionId[],
    edge: Edge,
    tally: SweepTally,
    signal: AbortSignal,
  ): Promise<void> {
    for (let after: Pick<SweptRow, 'version' | 'path'> = { version: 0 as VersionId, path: '' }; ;) {
      signal.throwIfAborted();
      const rows = await this.unitOfWork.run(async (tx) => {
        await lockRemovals(tx, dataset);
        const place = [after.version, after.path];
        const looked = await tx.query<SweptRow>(SWEEP_ROWS, [
          versions,
          ...place,
          ROWS,
          ...edgeParameters(edge),
        ]);
        const gone = looked.filter((row) => row.gone);
        const released = gone.flatMap(({ fileId }) => (fileId as FileId | null) ?? []);
        await this.#release(tx, released, tally);
        tally.entries += gone.length;
        return looked;
      });
      const last = rows.at(-1);
      if (!last || rows.length < ROWS) return;
      after = last;
    }
  }

  async #sweepDocuments(
    dataset: DatasetId,
    versions: readonly VersionId[],
    tally: SweepTally,
  ): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await lockRemovals(tx, dataset);
      const documents = await tx.query<{ fileId: FileId }>(
        `UPDATE dataset_versions v SET overlay_file_id = NULL
         FROM dataset_versions old
         WHERE v.id = ANY($1::integer[]) AND old.id = v.id AND v.status = 'removed'
           AND v.overlay_file_id IS NOT NULL
           AND NOT EXISTS (SELECT FROM dataset_version_files e WHERE e.version_id = v.id)
         RETURNING old.overlay_file_id AS "fileId"`,
        [versions],
      );
      await this.#release(
        tx,
        documents.map(({ fileId }) => fileId),
        tally,
      );
    });
  }

  async #release(tx: Tx, files: readonly FileId[], tally: SweepTally): Promise<void> {
    if (files.length === 0) return;
    await this.files.releaseReferences(tx, files);
    const [freed] = await tx.query<{ files: number; bytes: number }>(
      `SELECT count(*)::integer AS files, coalesce(sum(file_size), 0)::float8 AS bytes
       FROM files WHERE id = ANY($1::integer[]) AND reference_count = 0`,
      [[...new Set(files)]],
    );
    tally.files += freed?.files ?? 0;
    tally.bytes += freed?.bytes ?? 0;
  }

  /** Empties lineages from which no version is read any more, nor ever will be. */
  async #sweepCopies(dataset: DatasetId, signal: AbortSignal): Promise<void> {
    const unread = await this.unitOfWork.read((tx) =>
      tx.query<{ id: LineageId }>(
        `WITH own AS (
           SELECT DISTINCT coalesce(v.snapshot_lineage_id, v.lineage_id) AS id
           FROM dataset_versions v
           WHERE v.dataset_id = $1 AND v.status <> 'draft' AND ${this.#isKept('v')}
         ), live AS (
           SELECT own.id FROM own
           UNION
           SELECT unnest(l.ancestor_lineages) FROM own JOIN dataset_lineages l ON l.id = own.id
         )
         SELECT id FROM dataset_lineages l WHERE dataset_id = $1 AND base_rows > 0
           AND NOT EXISTS (SELECT FROM live WHERE live.id = l.id)`,
        [dataset, this.config.REMOVAL_GRACE],
      ),
    );
    for (const { id } of unread) {
      for (let more = true; more;) {
        signal.throwIfAborted();
        const deleted = await this.unitOfWork.run((tx) =>
          tx.query(
            `DELETE FROM dataset_lineage_files WHERE lineage_id = $1 AND component_name IN (
               SELECT component_name FROM dataset_lineage_files WHERE lineage_id = $1
               ORDER BY component_name LIMIT $2 FOR UPDATE
             ) RETURNING 1`,
            [id, ROWS],
          ),
        );
        more = deleted.length > 0;
      }
      await this.unitOfWork.run((tx) =>
        tx.query('UPDATE dataset_lineages SET base_rows = 0 WHERE id = $1', [id]),
      );
    }
  }
}

/** One sweep of a dataset at a time changes anything: two would wait for each other in a circle. */
export async function lockRemovals(tx: Tx, dataset: DatasetId): Promise<void> {
  await tx.query(
    'SELECT 1 FROM dataset_removals WHERE dataset_id = $1 ORDER BY id LIMIT 1 FOR UPDATE',
    [dataset],
  );
}
