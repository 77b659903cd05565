import { Inject, Injectable } from '@nestjs/common';
import type { TableSourceFile } from '../core/contracts/tables.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import {
  VERSION_READER,
  type VersionEntry,
  type VersionReader,
} from '../core/contracts/versions.js';
import type { DatasetId } from '../core/ids.js';
import { InvalidInput } from '../core/problems.js';
import type { OutputFormat } from './engine/output.js';
import type { NamedSource, QueryAnswer } from './engine/query.js';
import { readerOptionsOf } from './reader-options.js';
import { TableReader } from './schema/table-reader.js';
import { TableFiles, asProblem, sourceOf, type TableFile } from './table-files.js';
import { TableWorkers } from './table-workers.js';
import { withWiderTypes } from './wider-types.js';
import type { WorkerPool } from './worker/worker-pool.js';
import type { WorkerResult } from './worker/worker-result.js';

/** A table that a query names, and the file that it is. */
interface NamedFile extends TableFile {
  readonly name: string;
  readonly ofWorkbook: boolean;
}

/** Runs SELECTs over the tables of a version. */
@Injectable()
export class QueriesService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    private readonly files: TableFiles,
    private readonly reader: TableReader,
    private readonly workers: TableWorkers,
  ) {}

  /**
   * Runs a SELECT and has its result consumed while it is made.
   * @throws InvalidInput for what is no such SELECT, TableUnreadable, NotFound for the ref
   */
  async run<T>(
    dataset: DatasetId,
    ref: string,
    query: { sql: string; format: OutputFormat },
    signal: AbortSignal,
    consume: (
      result: WorkerResult,
      answered: Promise<QueryAnswer>,
      sources: readonly TableSourceFile[],
    ) => Promise<T>,
    pool: WorkerPool = this.workers.queries,
  ): Promise<T> {
    try {
      const names = await pool.ask('tables', { sql: query.sql }, signal);
      const found = await this.find(dataset, ref, names);
      const tables: readonly (NamedFile & { wholeSample: boolean })[] = await Promise.all(
        found.map(async (file) => {
          if (file.ofWorkbook) await this.files.requireWorkbook(file);
          return { ...file, wholeSample: await this.reader.requireReadable(file) };
        }),
      );
      let read: WorkerResult | null = null;
      const once = (some: typeof tables) =>
        this.files.lendAll(some, (sources) => {
          const named: NamedSource[] = some.map(({ name }, at) => {
            const source = sources[at];
            if (!source) throw new Error('A table was lent without its file.');
            return { name, source };
          });
          return pool.stream('query', { ...query, tables: named }, signal, (result, answered) => {
            read = result;
            return consume(result, answered, some.map(sourceOf));
          });
        });
      return await withWiderTypes(tables, once, () => !read?.wasRead);
    } catch (error) {
      // Whatever broke because nobody waits any more.
      signal.throwIfAborted();
      throw asProblem(error, 'the query');
    }
  }

  /** The files that tables are: `path`, or `path#sheet` for a sheet of a workbook. */
  private find(dataset: DatasetId, ref: string, names: readonly string[]): Promise<NamedFile[]> {
    return this.unitOfWork.read(async (tx) => {
      const version = await this.versions.resolve(tx, dataset, ref);
      const files: NamedFile[] = [];
      for (const name of names) {
        const [entry, sheet] = await this.entryNamed(name, (path) =>
          this.versions.entry(tx, version.id, path),
        );
        const options = readerOptionsOf(entry.metadata, sheet);
        files.push({ name, version, entry, options, ofWorkbook: sheet !== undefined });
      }
      return files;
    });
  }

  private async entryNamed(
    name: string,
    entryAt: (path: string) => Promise<VersionEntry | null>,
  ): Promise<[VersionEntry, string | undefined]> {
    const whole = await entryAt(name);
    if (whole) return [whole, undefined];
    const sheet = name.lastIndexOf('#');
    const book = sheet > 0 ? await entryAt(name.slice(0, sheet)) : null;
    if (book) return [book, name.slice(sheet + 1)];
    throw new InvalidInput(
      `There is no table ${JSON.stringify(name)} in this version; name a file by its path, in double quotes.`,
      [{ at: 'sql', message: `names ${JSON.stringify(name)}, which is not there` }],
    );
  }
}
