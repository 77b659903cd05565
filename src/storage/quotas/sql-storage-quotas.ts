import { Inject, Injectable } from '@nestjs/common';
import {
  OwnerQuotaExceeded,
  QuotaExceeded,
  type ChargedDataset,
  type HolderType,
  type StorageQuotas,
} from '../../core/contracts/storage-quotas.js';
import type { Tx } from '../../core/contracts/unit-of-work.js';
import type { FileId, UserId } from '../../core/ids.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { RequestContext } from '../../platform/logging/request-context.js';
import { countWith, type Holder } from './quota-usage.js';

/** An upload that its user did not hold before. */
export interface NewUpload {
  readonly fileId: FileId;
  readonly userId: UserId;
  readonly sizeBytes: number;
  /** In bytes; null for the default. */
  readonly quota: number | null;
}

/** What is charged to a holder at once. */
interface Charge {
  readonly holder: Holder;
  readonly limit: number;
  /** Of all files, whether or not the holder has some already. */
  readonly sizeBytes: number;
  readonly files: readonly FileId[];
  /** Those of them that the transaction has noted as the holder's uploads. */
  readonly heldAnew: readonly FileId[];
  /** Whether the one who is refused may know what the holder has. */
  readonly isTold: boolean;
}

// A count that is too high costs nothing but another count.
const ADD = `
  UPDATE storage_usage SET charged_bytes = charged_bytes + $3
  WHERE holder_type = $1 AND holder_id = $2 AND charged_bytes + $3 <= $4 RETURNING holder_id`;

const LOCK = `
  INSERT INTO storage_usage (holder_type, holder_id, charged_bytes) VALUES ($1, $2, 0)
  ON CONFLICT (holder_type, holder_id) DO UPDATE SET charged_bytes = storage_usage.charged_bytes`;

/**
 * Quotas by charging: what is added to a holder is added to its charge, in one statement that is also
 * the judge between those who add at once. Nothing is given back; a charge that reaches the quota is
 * counted anew, and only what then does not fit is refused.
 */
@Injectable()
export class SqlStorageQuotas implements StorageQuotas {
  private readonly defaults: Record<HolderType, number | null>;

  constructor(@Inject(CONFIG) config: Pick<Config, 'USER_QUOTA_BYTES' | 'DATASET_QUOTA_BYTES'>) {
    this.defaults = {
      user: config.USER_QUOTA_BYTES || null,
      dataset: config.DATASET_QUOTA_BYTES || null,
    };
  }

  /** What somebody without a quota of its own may hold, in bytes; null for any amount. */
  defaultOf(type: HolderType): number | null {
    return this.defaults[type];
  }

  /**
   * Charges new uploads to their users; costs nothing where none has a quota. To be called after the
   * files are locked: everybody locks files before usage.
   * @throws QuotaExceeded
   */
  async chargeUploads(tx: Tx, uploads: readonly NewUpload[]): Promise<void> {
    const limited = uploads.filter(({ quota }) => (quota ?? this.defaults.user) !== null);
    if (limited.length === 0) return;
    const byUser = Map.groupBy(limited, ({ userId }) => userId);
    for (const [id, own] of [...byUser].sort(([one], [other]) => one - other)) {
      const files = own.map(({ fileId }) => fileId);
      await this.charge(tx, {
        holder: { type: 'user', id },
        limit: own[0]?.quota ?? this.defaults.user ?? 0,
        sizeBytes: own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        files,
        heldAnew: files,
        isTold: true,
      });
    }
  }

  async chargeDataset(
    tx: Tx,
    { datasetId, hasQuota }: ChargedDataset,
    files: readonly FileId[],
  ): Promise<void> {
    const mayBeLimited = hasQuota || this.defaults.user !== null || this.defaults.dataset !== null;
    if (!mayBeLimited || files.length === 0) return;
    const [row] = await tx.query<{
      owner: UserId;
      ownerQuota: number | null;
      quota: number | null;
      sizeBytes: number;
    }>(
      `SELECT d.created_by AS owner, u.storage_quota::float8 AS "ownerQuota",
         d.storage_quota::float8 AS quota,
         (SELECT coalesce(sum(file_size), 0)::float8 FROM files WHERE id = ANY ($2::integer[]))
           AS "sizeBytes"
       FROM datasets d JOIN users u ON u.id = d.created_by WHERE d.id = $1`,
      [datasetId, files],
    );
    if (!row) return;
    const { owner, sizeBytes } = row;
    const what = { sizeBytes, files, heldAnew: [], isTold: true };
    const ownerLimit = row.ownerQuota ?? this.defaults.user;
    if (ownerLimit !== null) {
      await this.charge(tx, {
        ...what,
        holder: { type: 'user', id: owner },
        limit: ownerLimit,
        isTold: RequestContext.caller()?.userId === owner,
      });
    }
    const limit = row.quota ?? this.defaults.dataset;
    if (limit !== null) {
      await this.charge(tx, { ...what, holder: { type: 'dataset', id: datasetId }, limit });
    }
  }

  /**
   * Has every holder counted anew by the next one who adds something: what was given back is free
   * again then, and a charge that a change of settings left too low does not stay so.
   */
  async forgetCharges(tx: Tx): Promise<void> {
    await tx.query('DELETE FROM storage_usage');
  }

  private async charge(tx: Tx, charge: Charge): Promise<void> {
    const { holder, limit, sizeBytes, files, heldAnew, isTold } = charge;
    const key = [holder.type, holder.id];
    const added = await tx.query(ADD, [...key, sizeBytes, limit]);
    if (added.length > 0) return;
    await tx.query(LOCK, key);
    // Whoever was charged before has committed by now, and whoever comes after waits: all is seen.
    const { used, needed } = await countWith(tx, holder, files, heldAnew);
    if (used + needed > limit && needed > 0) {
      if (!isTold) throw new OwnerQuotaExceeded(needed);
      throw new QuotaExceeded(holder.type, { limit, used, needed });
    }
    await tx.query(
      `UPDATE storage_usage SET charged_bytes = $3 WHERE holder_type = $1 AND holder_id = $2`,
      [...key, used + needed],
    );
  }
}
