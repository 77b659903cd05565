import type { DatasetId, FileId } from '../ids.js';
import { Problem } from '../problems.js';
import { token } from '../token.js';
import type { Tx } from './unit-of-work.js';

/** Who holds contents, and may have a quota. */
export type HolderType = 'user' | 'dataset';

/** A dataset that contents are added to. */
export interface ChargedDataset {
  readonly datasetId: DatasetId;
  /** It, or its owner, has a quota of its own: where neither has, nothing is asked. */
  readonly hasQuota: boolean;
}

/** Keeps users and datasets from holding more bytes than they may. */
export interface StorageQuotas {
  /**
   * Charges contents to a dataset and its owner, each once however often it stands there. To be
   * called in the transaction that adds them, after their references are counted and before they
   * stand in the dataset: whoever adds to the same dataset then waits until it has ended.
   * @throws QuotaExceeded
   */
  chargeDataset(tx: Tx, dataset: ChargedDataset, files: readonly FileId[]): Promise<void>;
}

export const STORAGE_QUOTAS = token<StorageQuotas>('STORAGE_QUOTAS');

/** There is room, but not for this user, or not in this dataset. */
export class QuotaExceeded extends Problem {
  static override readonly kind = {
    code: 'quota-exceeded',
    status: 403,
    title: 'The quota is used up',
  };

  constructor(
    holder: HolderType,
    bytes: { readonly limit: number; readonly used: number; readonly needed: number },
  ) {
    super(
      `${holder === 'user' ? 'You hold' : 'The dataset holds'} ${bytes.used} of the ${bytes.limit} bytes that the quota allows, and this takes ${bytes.needed} more; nothing was changed. Remove what is not needed any more, or ask an administrator for a larger quota.`,
      {
        holder,
        limitBytes: bytes.limit,
        usedBytes: bytes.used,
        neededBytes: bytes.needed,
      },
    );
  }
}

/** The quota that is used up is somebody else's: what it is, and what they hold, is theirs to know. */
export class OwnerQuotaExceeded extends Problem {
  static override readonly kind = QuotaExceeded.kind;

  constructor(neededBytes: number) {
    super(
      `The dataset's owner has no room for ${neededBytes} more bytes; nothing was changed. Remove what the dataset does not need any more, or ask its owner or an administrator.`,
      { holder: 'owner', neededBytes },
    );
  }
}
