import { Inject, Injectable } from '@nestjs/common';
import type { HolderType } from '../../core/contracts/storage-quotas.js';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { NotFound } from '../../core/problems.js';
import { countUsed, type Holder } from './quota-usage.js';
import { SqlStorageQuotas } from './sql-storage-quotas.js';

/** What a holder may have, and has, in bytes. */
export interface Quota {
  /** Null for any amount. */
  readonly limitBytes: number | null;
  /** Nobody has set one: it is the server's. */
  readonly isDefault: boolean;
  readonly usedBytes: number;
}

const TABLE: Record<HolderType, { readonly name: string; readonly called: string }> = {
  user: { name: 'users', called: 'User' },
  dataset: { name: 'datasets', called: 'Dataset' },
};

/** Telling and setting quotas. */
@Injectable()
export class QuotasService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly quotas: SqlStorageQuotas,
  ) {}

  /** Counts what the holder has: takes as long as that is much. @throws NotFound */
  get(holder: Holder): Promise<Quota> {
    return this.unitOfWork.read((tx) => this.read(tx, holder));
  }

  /**
   * Sets a quota, or with null goes back to the server's default. What the holder has beyond it
   * stays; nothing is added to that.
   * @throws NotFound
   */
  set(holder: Holder, limitBytes: number | null): Promise<Quota> {
    return this.unitOfWork.run(async (tx) => {
      await tx.query(`UPDATE ${TABLE[holder.type].name} SET storage_quota = $2 WHERE id = $1`, [
        holder.id,
        limitBytes,
      ]);
      // Whoever had no limit was not charged: counted anew by the next one who adds something.
      await tx.query('DELETE FROM storage_usage WHERE holder_type = $1 AND holder_id = $2', [
        holder.type,
        holder.id,
      ]);
      return this.read(tx, holder);
    });
  }

  private async read(tx: Reader, holder: Holder): Promise<Quota> {
    const { name, called } = TABLE[holder.type];
    const [row] = await tx.query<{ quota: number | null }>(
      `SELECT storage_quota::float8 AS quota FROM ${name} WHERE id = $1`,
      [holder.id],
    );
    if (!row) throw new NotFound(`${called} ${holder.id}`);
    return {
      limitBytes: row.quota ?? this.quotas.defaultOf(holder.type),
      isDefault: row.quota === null,
      usedBytes: await countUsed(tx, holder),
    };
  }
}
