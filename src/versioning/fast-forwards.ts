import { Inject, Injectable } from '@nestjs/common';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { Tx } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import { Checks } from './checks.js';
import type { Change } from './graph/overlay.js';
import type { LockedBranch } from './locked-branch.js';
import { readPosition } from './position.js';
import { changedEntries, type ChangedEntry } from './version-insert.js';
import { VersionTree } from './version-tree.js';

/** How many changes are looked at at once. */
const PAGE = 5000;

/** Moves branches that only lag behind: no version is made, and yet what arrives is checked. */
@Injectable()
export class FastForwards {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    @Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository,
    private readonly tree: VersionTree,
    private readonly checks: Checks,
  ) {}

  /**
   * Moves a locked branch to a version that its head leads to.
   * @param changes from the branch's head to the version
   * @throws ChecksFailed where the version, made before today's rules, breaks them
   */
  async move(
    tx: Tx,
    branch: LockedBranch,
    version: VersionRecord,
    changes: readonly Change[],
  ): Promise<void> {
    const { datasetId, head } = branch;
    const position = await readPosition(tx, version.id);
    await this.checks.require(tx, {
      datasetId,
      branch: branch.branch,
      parentId: head?.id ?? null,
      fileCount: version.fileCount,
      totalSizeBytes: version.totalSizeBytes,
      changes: () => this.#described(tx, changes),
      has: async (paths) => new Set((await this.tree.lookup(tx, position, paths)).keys()),
    });
    await tx.query(
      'UPDATE dataset_pointers SET dataset_version_id = $2, updated_at = now() WHERE id = $1',
      [branch.pointerId, version.id],
    );
    await this.datasets.touch(tx, datasetId);
    await this.events.publish(tx, 'dataset.branch.updated', `dataset/${datasetId}`, {
      datasetId,
      branch: branch.branch,
      digest: version.digest,
      previousDigest: head?.digest ?? null,
      previousName: branch.branch,
      isProtected: branch.isProtected,
    });
  }

  async *#described(tx: Tx, changes: readonly Change[]): AsyncGenerator<ChangedEntry> {
    for (let start = 0; start < changes.length; start += PAGE) {
      const page = changes.slice(start, start + PAGE);
      const put = [...new Set(page.flatMap(([, content]) => content?.fileId ?? []))];
      yield* changedEntries(page, await this.files.find(tx, put));
    }
  }
}
