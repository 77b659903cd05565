import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { DatasetId } from '../../core/ids.js';
import { dropUnusedWords } from './document-store.js';
import { Indexer } from './indexer.js';
import { markSome } from './pending.js';

const MARKED_AT_ONCE = 10_000;
const WORDS_AT_ONCE = 1_000;

export interface RebuildReport {
  readonly datasets: number;
}

/**
 * Makes every document anew, and with them the index. Searches go on meanwhile: each document takes
 * the place of the one before. Datasets that change meanwhile are marked as ever, and whoever comes
 * first makes their documents.
 */
@Injectable()
export class Rebuild {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly indexer: Indexer,
  ) {}

  async run(
    signal: AbortSignal,
    tell: (percent: number, message: string) => Promise<void>,
  ): Promise<RebuildReport> {
    const datasets = await this.markAll(signal);
    await this.indexer.drain(signal, (done) =>
      tell(
        Math.min(95, (done / Math.max(1, datasets)) * 95),
        `Indexed ${done} of ${datasets} datasets`,
      ),
    );
    await tell(95, 'Forgetting words that no dataset has any more');
    await this.forgetWords(signal);
    return { datasets };
  }

  private async markAll(signal: AbortSignal): Promise<number> {
    let after = 0 as DatasetId;
    let total = 0;
    for (;;) {
      signal.throwIfAborted();
      const { last, count } = await this.unitOfWork.run((tx) =>
        markSome(tx, after, MARKED_AT_ONCE),
      );
      if (last === null) return total;
      total += count;
      after = last;
    }
  }

  private async forgetWords(signal: AbortSignal): Promise<void> {
    for (let after: string | null = ''; after !== null;) {
      signal.throwIfAborted();
      const from: string = after;
      after = await this.unitOfWork.run((tx) => dropUnusedWords(tx, from, WORDS_AT_ONCE));
    }
  }
}
