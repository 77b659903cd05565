import { Injectable } from '@nestjs/common';
import type { PreparedSql, Tx } from '../core/contracts/unit-of-work.js';
import type { DatasetId, LineageId, VersionId } from '../core/ids.js';
import { continuesLineage, segmentsToCompact, type Segment } from './graph/lineage.js';
import { readPosition, type ReadPosition } from './position.js';
import { Parameters, sourcesOf, wholeStatement } from './tree-sql.js';

/** Where a version's overlay lies. */
export interface Place {
  readonly lineageId: LineageId;
  readonly depth: number;
  /** How many rows the lineage adds to reading the version, this one's own included. */
  readonly rows: number;
}

const AT_DEPTH: PreparedSql = {
  name: 'version-at-depth',
  text: 'SELECT FROM dataset_versions WHERE lineage_id = $1 AND lineage_depth = $2',
};

/** Decides where versions lie, and copies what has become slow to read. */
@Injectable()
export class Lineages {
  /**
   * Finds the place of a parent's new child: on the parent's lineage where that has no other child
   * there, else on a new one. The caller holds the dataset's commit lock.
   * @returns the place, and what the child is read from there
   */
  async placeChild(
    tx: Tx,
    child: {
      dataset: DatasetId;
      parent: VersionId | null;
      position: ReadPosition;
      changes: number;
    },
  ): Promise<{ place: Place; segments: readonly Segment[] }> {
    const { dataset, parent, position, changes } = child;
    const { segments } = position;
    const [own, ...older] = segments;
    if (own && continuesLineage(segments, changes) && (await this.#isTip(tx, own))) {
      const place = {
        lineageId: own.lineageId as LineageId,
        depth: own.depth + 1,
        rows: own.rows + changes,
      };
      return { place, segments: [{ ...place, baseRows: own.baseRows }, ...older] };
    }
    const lineageId = await this.#start(tx, dataset, parent, segments, 0);
    const place = { lineageId, depth: 1, rows: changes };
    return { place, segments: [{ ...place, baseRows: 0 }, ...segments] };
  }

  /**
   * Gives a version a lineage of its own to be read from, where reading it has come to touch much
   * more than it holds.
   */
  async compactWhereWorthwhile(
    tx: Tx,
    version: {
      id: VersionId;
      dataset: DatasetId;
      segments: readonly Segment[];
      fileCount: number;
      changes: number;
    },
  ): Promise<void> {
    const { segments, fileCount, changes } = version;
    const count = segmentsToCompact(segments, fileCount, changes);
    if (count > 0) await this.#compact(tx, version, segments, count);
  }

  /** Copies all that a version holds, so that reading it needs no ancestor's rows. */
  async detach(tx: Tx, version: { id: VersionId; dataset: DatasetId }): Promise<void> {
    const { segments } = await readPosition(tx, version.id);
    await this.#compact(tx, version, segments, segments.length);
  }

  async #compact(
    tx: Tx,
    version: { id: VersionId; dataset: DatasetId },
    segments: readonly Segment[],
    count: number,
  ): Promise<void> {
    const merged = segments.slice(0, count);
    const rest = segments.slice(count);
    const lineage = await this.#start(tx, version.dataset, version.id, rest, 0);
    const parameters = new Parameters();
    const target = parameters.add(lineage);
    const whole = wholeStatement(
      sourcesOf({ draftId: null, segments: merged }),
      parameters,
      rest.length > 0,
    );
    await tx.query(
      `WITH copied AS (
         INSERT INTO dataset_lineage_files
           (lineage_id, component_name, file_id, component_type, component_index, metadata)
         SELECT ${target}, w.* FROM (${whole}) w RETURNING 1
       )
       UPDATE dataset_lineages SET base_rows = (SELECT count(*) FROM copied) WHERE id = ${target}`,
      parameters.values,
    );
    await tx.query('UPDATE dataset_versions SET snapshot_lineage_id = $2 WHERE id = $1', [
      version.id,
      lineage,
    ]);
  }

  async #isTip(tx: Tx, { lineageId, depth }: Segment): Promise<boolean> {
    const taken = await tx.query(AT_DEPTH, [lineageId, depth + 1]);
    return taken.length === 0;
  }

  async #start(
    tx: Tx,
    dataset: DatasetId,
    origin: VersionId | null,
    ancestors: readonly Segment[],
    baseRows: number,
  ): Promise<LineageId> {
    const [row] = await tx.query<{ id: LineageId }>(
      `INSERT INTO dataset_lineages (dataset_id, origin_version_id, ancestor_lineages,
         ancestor_depths, ancestor_rows, base_rows)
       VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
      [
        dataset,
        origin,
        ancestors.map(({ lineageId }) => lineageId),
        ancestors.map(({ depth }) => depth),
        ancestors.map(({ rows }) => rows),
        baseRows,
      ],
    );
    if (!row) throw new Error('A lineage was not stored');
    return row.id;
  }
}
