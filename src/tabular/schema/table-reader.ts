import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { TableUnreadable } from '../table.problems.js';
import { TableFiles, type TableFile } from '../table-files.js';
import { TableWorkers } from '../table-workers.js';
import { TableContents, readingOf, type KnownContent } from './table-contents.js';

type Readable = Pick<TableFile, 'entry' | 'options'>;

/** Finds out what files are as tables: from what is known already, at a glance, or in full. */
@Injectable()
export class TableReader {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly contents: TableContents,
    private readonly files: TableFiles,
    private readonly workers: TableWorkers,
  ) {}

  /** What is known of a file, or can be seen of it at a glance. */
  async look(file: Readable, signal?: AbortSignal): Promise<KnownContent> {
    const known = await this.unitOfWork.read((tx) =>
      this.contents.find(tx, readingOf(file.entry, file.options)),
    );
    return known ?? this.describe(file, false, signal);
  }

  /**
   * Spares a worker a file that is known to end it.
   * @returns whether its types are to be taken from all of it, since a sample is known to mislead
   * @throws TableUnreadable
   */
  async requireReadable({ entry, options }: Readable): Promise<boolean> {
    const known = await this.unitOfWork.read((tx) =>
      this.contents.find(tx, readingOf(entry, options)),
    );
    if (known?.problem) {
      throw new TableUnreadable(entry.path, known.problem.code, known.problem.detail);
    }
    return known?.description?.wholeSample ?? false;
  }

  /** Reads all of a file, and keeps what that shows. */
  async capture(file: Readable, signal: AbortSignal): Promise<KnownContent> {
    const found = await this.describe(file, true, signal);
    // Another time, or on another machine, it may be fast enough.
    if (found.problem?.code === 'too-slow') return found;
    await this.unitOfWork.run((tx) =>
      this.contents.keep(tx, readingOf(file.entry, file.options), found),
    );
    return found;
  }

  private async describe(
    file: Readable,
    full: boolean,
    signal?: AbortSignal,
  ): Promise<KnownContent> {
    const pool = full ? this.workers.jobs : this.workers.requests;
    try {
      const description = await this.files.lend(file, false, (source) =>
        pool.ask('describe', { source, full }, signal),
      );
      return { description, problem: null };
    } catch (error) {
      if (!(error instanceof TableUnreadable)) throw error;
      return { description: null, problem: { code: error.problem, detail: error.reason } };
    }
  }
}
