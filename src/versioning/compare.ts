import { Injectable } from '@nestjs/common';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionId } from '../core/ids.js';
import { differences, type Difference } from './graph/diff.js';
import type { Content } from './graph/overlay.js';
import { History } from './history.js';
import { readPosition } from './position.js';
import { VersionTree } from './version-tree.js';

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
    const rows = await tx.query<{ path: string }>(
      `SELECT DISTINCT component_name AS path FROM dataset_version_files
       WHERE version_id = ANY($1::integer[]) ORDER BY 1`,
      [await this.history.between(tx, left, right)],
    );
    return rows.map(({ path }) => path);
  }
}
