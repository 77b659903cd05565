import { Inject, Injectable } from '@nestjs/common';
import type { Tx } from '../core/contracts/unit-of-work.js';
import type { DatasetId } from '../core/ids.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { DatasetFull } from './versioning.problems.js';

export type Counted = 'branches' | 'tags' | 'drafts';

const ROWS: Record<Counted, string> = {
  branches: 'dataset_pointers WHERE dataset_id = $1 AND NOT is_tag',
  tags: 'dataset_pointers WHERE dataset_id = $1 AND is_tag',
  drafts: `dataset_versions WHERE dataset_id = $1 AND version_number IS NULL
    AND status = 'draft' AND draft_of IS NULL`,
};

/** Whether `datasets d`, or its owner, has a quota of its own. */
export const HAS_QUOTA = `(d.storage_quota IS NOT NULL OR EXISTS (
  SELECT FROM users o WHERE o.id = d.created_by AND o.storage_quota IS NOT NULL))`;

/** How many branches, tags and open drafts one dataset may have. */
@Injectable()
export class DatasetLimits {
  private readonly most: Record<Counted, number>;

  constructor(@Inject(CONFIG) config: Pick<Config, 'MAX_BRANCHES' | 'MAX_TAGS' | 'MAX_DRAFTS'>) {
    this.most = {
      branches: config.MAX_BRANCHES,
      tags: config.MAX_TAGS,
      drafts: config.MAX_DRAFTS,
    };
  }

  /**
   * Passes where one more may be made in this transaction. Others who want to make one of the same
   * dataset wait here until it has ended: two may not both be the last.
   * @throws DatasetFull
   */
  async requireRoom(tx: Tx, dataset: DatasetId, what: Counted): Promise<void> {
    await tx.query('SELECT FROM datasets WHERE id = $1 FOR NO KEY UPDATE', [dataset]);
    const [row] = await tx.query<{ full: boolean }>(
      // Stops counting at the limit, whatever is there.
      `SELECT count(*) >= $2 AS full FROM (SELECT FROM ${ROWS[what]} LIMIT $2) counted`,
      [dataset, this.most[what]],
    );
    if (row?.full) throw new DatasetFull(what, this.most[what]);
  }
}
