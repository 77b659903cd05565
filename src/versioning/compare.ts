import { Injectable } from '@nestjs/common';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionId } from '../core/ids.js';
import { differences, type Difference } from './graph/diff.js';
import { sameContent, type Content } from './graph/overlay.js';
import { comparePaths } from './graph/path.js';
import { History } from './history.js';
import { readPosition } from './position.js';
import { VersionTree } from './version-tree.js';

/** Part of what differs between two versions. */
export interface DifferencePage {
  /** In path order. */
  readonly items: readonly Difference[];
  /** Whether there is more after the last of them. */
  readonly hasMore: boolean;
}

/** How many touched paths are looked at for each difference that a page shows, at the least. */
const LOOK_AHEAD = 2;

/**
 * The touched paths at which some contents stand or stood. Parameters: the contents, the two
 * versions, and the versions between them. Rows of both sides lie on the lineages that they come
 * from.
 */
const KIN = `
  WITH RECURSIVE line AS (
    SELECT lineage_id FROM dataset_versions WHERE id = ANY($2::integer[])
    UNION
    SELECT o.lineage_id FROM line JOIN dataset_lineages l ON l.id = line.lineage_id
    JOIN dataset_versions o ON o.id = l.origin_version_id
  ), changed AS MATERIALIZED (
    SELECT DISTINCT component_name FROM dataset_version_files
    WHERE version_id = ANY($3::integer[])
  )
  SELECT DISTINCT e.component_name AS path FROM dataset_version_files e
  WHERE e.file_id = ANY($1::integer[]) AND e.lineage_id IN (SELECT lineage_id FROM line)
    AND e.component_name IN (SELECT component_name FROM changed)`;

/** Compares versions. The cost is that of what was changed between them, not of what they hold. */
@Injectable()
export class Compare {
  constructor(
    private readonly history: History,
    private readonly tree: VersionTree,
  ) {}

  /** Every difference from one version to another, in path order. */
  async differences(tx: Reader, from: VersionId, to: VersionId): Promise<Difference[]> {
    const paths = await this.touchedPaths(tx, from, to);
    const before = await this.contents(tx, from, paths);
    return differences(paths, before, await this.contents(tx, to, paths));
  }

  /**
   * The differences from one version to another after a path, at most `limit`. What the versions hold
   * is looked up at the paths of the page alone, and where its contents came from or went to.
   */
  async page(
    tx: Reader,
    [from, to]: readonly [VersionId, VersionId],
    { after, limit }: { after: string; limit: number },
  ): Promise<DifferencePage> {
    const between = await this.history.between(tx, from, to);
    const items: Difference[] = [];
    for (let last = after; items.length <= limit;) {
      const paths = await this.#touchedAfter(tx, between, last, LOOK_AHEAD * (limit + 1));
      const end = paths.at(-1);
      if (end === undefined) break;
      items.push(...(await this.#differencesAt(tx, [from, to], between, paths)));
      last = end;
    }
    return { items: items.slice(0, limit), hasMore: items.length > limit };
  }

  /** What a version has at some paths. */
  async contents(
    tx: Reader,
    version: VersionId,
    paths: readonly string[],
  ): Promise<Map<string, Content>> {
    return this.tree.lookup(tx, await readPosition(tx, version), paths);
  }

  /** The paths at which two versions may differ. */
  async touchedPaths(tx: Reader, left: VersionId, right: VersionId): Promise<string[]> {
    return this.#touchedAfter(tx, await this.history.between(tx, left, right), '', null);
  }

  async #touchedAfter(
    tx: Reader,
    between: readonly VersionId[],
    after: string,
    limit: number | null,
  ): Promise<string[]> {
    const rows = await tx.query<{ path: string }>(
      `SELECT DISTINCT component_name AS path FROM dataset_version_files
       WHERE version_id = ANY($1::integer[]) AND component_name > $2 ORDER BY 1 LIMIT $3`,
      [between, after, limit],
    );
    return rows.map(({ path }) => path);
  }

  /** The differences at touched paths that follow each other; moves may come from any other. */
  async #differencesAt(
    tx: Reader,
    [from, to]: readonly [VersionId, VersionId],
    between: readonly VersionId[],
    paths: readonly string[],
  ): Promise<Difference[]> {
    let before = await this.contents(tx, from, paths);
    let after = await this.contents(tx, to, paths);
    let differing = paths.filter(
      (path) => !sameContent(before.get(path) ?? null, after.get(path) ?? null),
    );
    // A content that only left, or only appeared, may be one half of a move: which path is the other
    // half is decided among all of its paths.
    const movable = differing.flatMap((path) => {
      const [left, appeared] = [before.get(path), after.get(path)];
      return left && appeared ? [] : [(left ?? appeared) as Content];
    });
    if (movable.length > 0) {
      const contents = [...new Set(movable.map(({ fileId }) => fileId))];
      const kin = await tx.query<{ path: string }>(KIN, [contents, [from, to], between]);
      const known = new Set(paths);
      const others = kin.flatMap(({ path }) => (known.has(path) ? [] : [path]));
      before = new Map([...before, ...(await this.contents(tx, from, others))]);
      after = new Map([...after, ...(await this.contents(tx, to, others))]);
      differing = differing.concat(others);
    }
    const [first, last] = [paths[0] as string, paths.at(-1) as string];
    return differences(differing, before, after).filter(
      ({ path }) => comparePaths(path, first) >= 0 && comparePaths(path, last) <= 0,
    );
  }
}
