import { Inject, Injectable, Logger } from '@nestjs/common';
import { buffer } from 'node:stream/consumers';
import { StorageFull } from '../core/contracts/artifact-producer.js';
import { FILE_CATALOG, FileDamaged, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { TableSourceFile } from '../core/contracts/tables.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import {
  VERSION_READER,
  type VersionEntry,
  type VersionReader,
  type VersionRecord,
} from '../core/contracts/versions.js';
import type { DatasetId, FileId } from '../core/ids.js';
import { InvalidInput, NotFound, Problem, Unavailable } from '../core/problems.js';
import { MAGIC_BYTES, detectFormat, mayBeTable } from './engine/detect.js';
import type { ReaderOptions, TableSource } from './engine/source.js';
import { InvalidRequest, NotComparable, TableProblem } from './engine/table-problem.js';
import { readerOptionsOf } from './reader-options.js';
import { FetchedOtherBytes, type Lease } from './table-cache.js';
import { RowsNotComparable, TableUnreadable } from './table.problems.js';
import { TableWorkers } from './table-workers.js';
import { NO_ROOM, SourceGone } from './worker/worker-process.js';

/** A path of a version, and how the file there is to be read. */
export interface TableFile {
  readonly version: VersionRecord;
  readonly entry: VersionEntry;
  readonly options: ReaderOptions;
}

/** Finds the files that are read as tables, and puts them where workers can read them. */
@Injectable()
export class TableFiles {
  private readonly logger = new Logger(TableFiles.name);

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    private readonly workers: TableWorkers,
  ) {}

  /** @throws NotFound, InvalidInput where its metadata say nonsense, or for a sheet of no workbook */
  async find(dataset: DatasetId, ref: string, path: string, sheet?: string): Promise<TableFile> {
    const file = await this.unitOfWork.read(async (tx) => {
      const version = await this.versions.resolve(tx, dataset, ref);
      const entry = await this.versions.entry(tx, version.id, path);
      if (!entry) throw new NotFound(`${JSON.stringify(path)} in ${JSON.stringify(ref)}`);
      return { version, entry, options: readerOptionsOf(entry.metadata, sheet) };
    });
    if (sheet !== undefined) await this.requireWorkbook(file);
    return file;
  }

  /** A sheet that is asked for is not passed over. @throws InvalidInput where there are none, FileDamaged */
  async requireWorkbook(file: Pick<TableFile, 'entry' | 'options'>): Promise<void> {
    const { path, mimeType } = file.entry;
    const format = file.options.format ?? detectFormat(await this.magicOf(file), path, mimeType);
    if (format === 'xlsx') return;
    throw new InvalidInput(
      `${JSON.stringify(path)} is no Excel workbook and has no sheets; ask for it without one.`,
      [{ at: 'sheet', message: 'is asked of a file that has none' }],
    );
  }

  /**
   * Lends a file's bytes to some work, in place where they lie on this machine, else through the cache.
   * @throws TableUnreadable, InvalidInput, FileDamaged
   */
  async lend<T>(
    { entry, options }: Pick<TableFile, 'entry' | 'options'>,
    wholeSample: boolean,
    work: (source: TableSource) => Promise<T>,
  ): Promise<T> {
    const lent = { entry, options, wholeSample };
    try {
      return await this.lendAll([lent], ([source]) => work(source as TableSource));
    } catch (error) {
      throw asProblem(error, entry.path, entry.fileId);
    }
  }

  /** Whether a worker need look at a file at all: most files are no tables. @throws FileDamaged */
  async mayBeTable({ entry, options }: Pick<TableFile, 'entry' | 'options'>): Promise<boolean> {
    if (options.format) return true;
    return mayBeTable(await this.magicOf({ entry }), entry.path, entry.mimeType);
  }

  private async magicOf({ entry }: Pick<TableFile, 'entry'>): Promise<Buffer> {
    const end = Math.min(MAGIC_BYTES, entry.sizeBytes);
    return buffer(await this.files.open(entry.fileId, { start: 0, end }));
  }

  private async fetched(lease: Lease, { fileId, sizeBytes }: VersionEntry): Promise<string> {
    try {
      const open = () => this.files.open(fileId);
      return await this.workers.cache.bytes(lease, { sizeBytes, open });
    } catch (error) {
      if (error instanceof FetchedOtherBytes) throw new FileDamaged(fileId);
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw new StorageFull(NO_ROOM);
      if (error instanceof Problem) throw error;
      this.logger.warn({ err: error, fileId }, 'A file could not be fetched from the storage');
      throw new Unavailable('The file could not be fetched from the storage; try again.', 2);
    }
  }

  /** Lends several files at once. @throws what `work` does, FileDamaged */
  async lendAll<T>(
    files: readonly (Pick<TableFile, 'entry' | 'options'> & { readonly wholeSample?: boolean })[],
    work: (sources: TableSource[]) => Promise<T>,
  ): Promise<T> {
    const { cache } = this.workers;
    const leases: Lease[] = [];
    try {
      // All at once: where they lie is then looked up once.
      const lent = await Promise.allSettled(
        files.map(async ({ entry, options, wholeSample = false }): Promise<TableSource> => {
          const lease = await cache.lease(entry.sha256);
          leases.push(lease);
          const path =
            (await this.files.localPath?.(entry.fileId)) ?? (await this.fetched(lease, entry));
          const { path: name, mimeType } = entry;
          return { path, name, mimeType, prepared: lease.stem, options, wholeSample };
        }),
      );
      const sources = lent.map((one) => {
        if (one.status === 'rejected') throw one.reason;
        return one.value;
      });
      return await work(sources);
    } finally {
      for (const lease of leases) lease.release();
    }
  }
}

/** What is noted of a file that something was made of. */
export function sourceOf({
  version,
  entry,
}: Pick<TableFile, 'version' | 'entry'>): TableSourceFile {
  return { versionId: version.id, path: entry.path, sha256: entry.sha256 };
}

/** What a worker says of a file, as the caller is told. */
export function asProblem(error: unknown, name: string, fileId?: FileId): unknown {
  if (error instanceof TableProblem) return new TableUnreadable(name, error.code, error.message);
  if (error instanceof InvalidRequest) return new InvalidInput(error.message);
  if (error instanceof NotComparable) return new RowsNotComparable(error.message);
  return error instanceof SourceGone && fileId !== undefined ? new FileDamaged(fileId) : error;
}
