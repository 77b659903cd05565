import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { InvalidInput } from '../../core/problems.js';
import { TableUnreadable } from '../table.problems.js';
import { TableProblem } from '../engine/table-problem.js';
import { TableFiles, asProblem, type TableFile } from '../table-files.js';
import { TableWorkers } from '../table-workers.js';
import { errorOf } from '../worker/worker-process.js';
import { TableContents, readingOf, type KnownContent } from './table-contents.js';

type Readable = Pick<TableFile, 'entry' | 'options'>;

const NO_TABLE: KnownContent = { description: null, problem: null };

/** Files up to here are read several at a time: asking for each would take as long as reading it. */
const SMALL_BYTES = 256 * 1024;
const MOST_TOGETHER = 25;

/** Small files that follow each other, and each large one by itself. */
function batchesOf(files: readonly Readable[]): Readable[][] {
  const batches: Readable[][] = [];
  let open: Readable[] | null = null;
  for (const file of files) {
    const isSmall = file.entry.sizeBytes <= SMALL_BYTES;
    if (isSmall && open && open.length < MOST_TOGETHER) {
      open.push(file);
      continue;
    }
    const batch = [file];
    open = isSmall ? batch : null;
    batches.push(batch);
  }
  return batches;
}

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

  /** Reads all of some files, and keeps what that shows: of each in turn, of small ones together. */
  async captureAll(files: readonly Readable[], signal: AbortSignal): Promise<KnownContent[]> {
    const captured = batchesOf(files).map((batch) => this.captureBatch(batch, signal));
    return (await Promise.all(captured)).flat();
  }

  private async captureBatch(
    files: readonly Readable[],
    signal: AbortSignal,
  ): Promise<KnownContent[]> {
    const mayBe = await Promise.all(files.map((file) => this.files.mayBeTable(file)));
    const candidates = files.filter((_, at) => mayBe[at]);
    const described = await this.describeAll(candidates, signal);
    const found = candidates.flatMap((file, at) => {
      const known = described[at];
      // Another time, or on another machine, it may be fast enough.
      if (!known || known.problem?.code === 'too-slow') return [];
      return { reading: readingOf(file.entry, file.options), known };
    });
    await this.unitOfWork.run((tx) => this.contents.keepAll(tx, found));
    const byFile = new Map(candidates.map((file, at) => [file, described[at]]));
    return files.map((file) => byFile.get(file) ?? NO_TABLE);
  }

  /**
   * Reads all of small files in one go, which costs a worker's answer and not one for each. Null for a
   * file that has not what its metadata ask of it, such as a sheet: whoever asks for the table is told.
   */
  private async describeAll(
    files: readonly Readable[],
    signal: AbortSignal,
  ): Promise<(KnownContent | null)[]> {
    const alone = () => Promise.all(files.map((file) => this.describeAlone(file, signal)));
    if (files.length < 2) return alone();
    try {
      const answers = await this.files.lendAll(files, (sources) =>
        this.workers.jobs.ask('describe-all', { sources }, signal),
      );
      return answers.map((answer, at) => {
        if (answer.ok) return { description: answer.answer, problem: null };
        const { failure } = answer;
        if (failure.kind === 'invalid') return null;
        if (failure.kind === 'problem') return { description: null, problem: failure };
        const { path, fileId } = (files[at] as Readable).entry;
        throw asProblem(errorOf(failure), path, fileId);
      });
    } catch (error) {
      // One of them ended the reader: which one shows when each is read alone.
      if (error instanceof TableProblem) return alone();
      throw error;
    }
  }

  private async describeAlone(file: Readable, signal: AbortSignal): Promise<KnownContent | null> {
    try {
      return await this.describe(file, true, signal);
    } catch (error) {
      if (error instanceof InvalidInput) return null;
      throw error;
    }
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
