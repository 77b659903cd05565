import { Inject, Injectable } from '@nestjs/common';
import {
  UNIT_OF_WORK,
  type Reader,
  type Tx,
  type UnitOfWork,
} from '../core/contracts/unit-of-work.js';
import type { DatasetId, UserId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { versionsToRemove, type RetainableVersion } from './graph/retention.js';
import { Removals } from './removals.js';

/** Which versions a dataset keeps, besides whatever a tag or a draft names. */
export interface RetentionRules {
  /** On each branch's line of first parents. */
  readonly keepLast: number;
  /** A duration such as `30d`; null for no such rule. */
  readonly keepYoungerThan: string | null;
  readonly keepYoungerThanMs: number | null;
}

/** Rules, and who set them. */
export interface StoredRules extends RetentionRules {
  readonly setBy: UserId;
  readonly setAt: Date;
}

/** How many versions go in one transaction. */
const BATCH = 1000;

/** How many versions are read at once. */
const PAGE = 10_000;

/** The rules of datasets, and removing what they let go. */
@Injectable()
export class Retention {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'BRANCH_RETENTION'>,
    private readonly removals: Removals,
  ) {}

  /** Null where the dataset keeps everything. */
  async rules(tx: Reader, dataset: DatasetId): Promise<StoredRules | null> {
    const [row] = await tx.query<StoredRules>(
      `SELECT keep_last AS "keepLast", keep_younger_than AS "keepYoungerThan",
         keep_younger_than_ms::float8 AS "keepYoungerThanMs", set_by AS "setBy", set_at AS "setAt"
       FROM dataset_retention WHERE dataset_id = $1`,
      [dataset],
    );
    return row ?? null;
  }

  async setRules(tx: Tx, dataset: DatasetId, by: UserId, rules: RetentionRules): Promise<void> {
    await tx.query(
      `INSERT INTO dataset_retention
         (dataset_id, keep_last, keep_younger_than, keep_younger_than_ms, set_by)
       VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (dataset_id) DO UPDATE SET keep_last = excluded.keep_last,
         keep_younger_than = excluded.keep_younger_than,
         keep_younger_than_ms = excluded.keep_younger_than_ms,
         set_by = excluded.set_by, set_at = now()`,
      [dataset, rules.keepLast, rules.keepYoungerThan, rules.keepYoungerThanMs, by],
    );
  }

  /** From then on the dataset keeps everything. */
  async dropRules(tx: Tx, dataset: DatasetId): Promise<void> {
    await tx.query('DELETE FROM dataset_retention WHERE dataset_id = $1', [dataset]);
  }

  /** Living datasets that have rules. */
  async ruled(): Promise<DatasetId[]> {
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ id: DatasetId }>(
        `SELECT d.id FROM dataset_retention r JOIN datasets d ON d.id = r.dataset_id
         WHERE d.deleted_at IS NULL ORDER BY d.id`,
      ),
    );
    return rows.map(({ id }) => id);
  }

  /** The versions that rules let go now, the oldest first. */
  async plan(tx: Reader, dataset: DatasetId, rules: RetentionRules): Promise<VersionId[]> {
    const versions = await this.#versions(tx, dataset, rules.keepYoungerThanMs);
    const anchors = await this.#anchors(tx, dataset);
    return versionsToRemove(versions, anchors, rules.keepLast) as VersionId[];
  }

  /**
   * Makes tombstones of the versions that the dataset's rules let go, as many as one transaction may;
   * which those are is found out under the lock of everything that could keep one. Gives their ids.
   */
  removeSome(dataset: DatasetId, by: UserId | null): Promise<VersionId[]> {
    return this.unitOfWork.run(async (tx) => {
      const locked = await this.removals.lock(tx, dataset);
      const rules = await this.rules(tx, dataset);
      if (!locked || !rules) return [];
      const removed = (await this.plan(tx, dataset, rules)).slice(0, BATCH);
      if (removed.length > 0) {
        await this.removals.bury(tx, locked, removed, { cause: 'retention', by });
      }
      return removed;
    });
  }

  /** @throws NotFound where the dataset has no rules */
  async requireRules(tx: Reader, dataset: DatasetId): Promise<StoredRules> {
    const rules = await this.rules(tx, dataset);
    if (!rules) throw new NotFound(`A retention rule of dataset ${dataset}`);
    return rules;
  }

  async #versions(
    tx: Reader,
    dataset: DatasetId,
    keepYoungerThanMs: number | null,
  ): Promise<RetainableVersion[]> {
    const versions: RetainableVersion[] = [];
    for (;;) {
      const page = await tx.query<RetainableVersion>(
        `SELECT id, version_number AS number, status = 'removed' AS removed,
           array_remove(ARRAY[parent_version_id, merge_parent_id], NULL) AS parents,
           $3::float8 IS NOT NULL AND committed_at > now() - $3 * interval '1 millisecond' AS young
         FROM dataset_versions
         WHERE dataset_id = $1 AND status <> 'draft' AND version_number > $2
         ORDER BY version_number LIMIT $4`,
        [dataset, versions.at(-1)?.number ?? 0, keepYoungerThanMs, PAGE],
      );
      versions.push(...page);
      if (page.length < PAGE) return versions;
    }
  }

  async #anchors(tx: Reader, dataset: DatasetId): Promise<{ heads: number[]; others: number[] }> {
    const [anchors] = await tx.query<{ heads: number[]; others: number[] }>(
      `SELECT
         ARRAY(SELECT dataset_version_id FROM dataset_pointers
           WHERE dataset_id = $1 AND NOT is_tag AND dataset_version_id IS NOT NULL
           UNION SELECT dataset_version_id FROM dataset_deleted_branches
           WHERE dataset_id = $1 AND dataset_version_id IS NOT NULL
             AND deleted_at > now() - $2 * interval '1 millisecond') AS heads,
         ARRAY(SELECT dataset_version_id FROM dataset_pointers WHERE dataset_id = $1 AND is_tag
           UNION SELECT parent_version_id FROM dataset_versions
           WHERE dataset_id = $1 AND status = 'draft' AND parent_version_id IS NOT NULL) AS others`,
      [dataset, this.config.BRANCH_RETENTION],
    );
    return anchors ?? { heads: [], others: [] };
  }
}
