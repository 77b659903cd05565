import { Injectable } from '@nestjs/common';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, VersionId } from '../core/ids.js';
import { removedAmong } from './removed-versions.js';
import { selectVersions } from './version-rows.js';

/** How much of a line of first parents is read at once. */
const RUN = 64;

/** How many tombstones one page passes. */
const MAX_PASSED = 2000;

/** Reads histories, the newest version first. A child's number is always greater than its parents'. */
@Injectable()
export class VersionLog {
  /** All versions of a dataset, whatever their branch, below a number. */
  all(
    tx: Reader,
    dataset: DatasetId,
    page: { below: number | null; limit: number },
  ): Promise<VersionRecord[]> {
    return selectVersions(
      tx,
      `WHERE v.dataset_id = $1 AND v.status = 'committed'
         AND ($2::integer IS NULL OR v.version_number < $2)
       ORDER BY v.version_number DESC LIMIT $3`,
      [dataset, page.below, page.limit],
    );
  }

  /**
   * The versions that lead to some others, these included, over both parents of merges.
   * @param heads numbers of versions to begin with
   * @returns at most `limit` versions, and the numbers to go on with
   */
  async ancestry(
    tx: Reader,
    dataset: DatasetId,
    heads: readonly number[],
    limit: number,
  ): Promise<{ versions: VersionRecord[]; frontier: number[] }> {
    const known = new Map<VersionId, VersionRecord>();
    const removed = new Set<VersionId>();
    const frontier = new Map<number, VersionId>();
    for (const version of await selectVersions(
      tx,
      `WHERE v.dataset_id = $1 AND v.version_number = ANY($2::integer[])`,
      [dataset, heads],
    )) {
      known.set(version.id, version);
      frontier.set(version.versionNumber, version.id);
    }
    for (const id of await removedAmong(tx, [...known.keys()])) removed.add(id);
    const versions: VersionRecord[] = [];
    // Tombstones lead on to their parents without being shown; so many of them end a page.
    let passed = 0;
    while (versions.length < limit && passed < MAX_PASSED && frontier.size > 0) {
      const newest = Math.max(...frontier.keys());
      const version = known.get(frontier.get(newest) as VersionId);
      if (!version) break;
      frontier.delete(newest);
      if (removed.has(version.id)) passed += 1;
      else versions.push(version);
      for (const parent of [version.parentId, version.mergeParentId]) {
        if (parent === null) continue;
        if (!known.has(parent)) await this.#readLine(tx, parent, known, removed);
        const found = known.get(parent);
        if (found) frontier.set(found.versionNumber, parent);
      }
    }
    return { versions, frontier: [...frontier.keys()].sort((a, b) => b - a) };
  }

  /**
   * The versions on a version's line of first parents that changed a path. A merge counts where it
   * brought a change to that line.
   */
  ofPath(
    tx: Reader,
    version: VersionId,
    path: string,
    page: { below: number | null; limit: number },
  ): Promise<VersionRecord[]> {
    return selectVersions(
      tx,
      `JOIN dataset_version_files e ON e.version_id = v.id
       JOIN (
         WITH RECURSIVE line AS (
           SELECT lineage_id, lineage_depth FROM dataset_versions WHERE id = $1
           UNION ALL
           SELECT o.lineage_id, o.lineage_depth FROM line
           JOIN dataset_lineages l ON l.id = line.lineage_id
           JOIN dataset_versions o ON o.id = l.origin_version_id
         ) SELECT lineage_id, lineage_depth FROM line
       ) line ON line.lineage_id = e.lineage_id AND e.lineage_depth <= line.lineage_depth
       WHERE e.component_name = $2 AND v.status = 'committed' AND ($3::integer IS NULL OR v.version_number < $3)
       ORDER BY v.version_number DESC LIMIT $4`,
      [version, path, page.below, page.limit],
    );
  }

  async #readLine(
    tx: Reader,
    from: VersionId,
    known: Map<VersionId, VersionRecord>,
    removed: Set<VersionId>,
  ): Promise<void> {
    const line = await selectVersions(
      tx,
      `JOIN (
         WITH RECURSIVE line AS (
           SELECT id, parent_version_id, 1 AS n FROM dataset_versions WHERE id = $1
           UNION ALL
           SELECT p.id, p.parent_version_id, n + 1 FROM line
           JOIN dataset_versions p ON p.id = line.parent_version_id WHERE n < $2
         ) SELECT id FROM line
       ) line ON line.id = v.id`,
      [from, RUN],
    );
    for (const version of line) known.set(version.id, version);
    const ids = line.map(({ id }) => id);
    for (const id of await removedAmong(tx, ids)) removed.add(id);
  }
}
