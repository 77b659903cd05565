import { Injectable } from '@nestjs/common';
import type { DatasetId } from '../core/ids.js';
import { InvalidInput } from '../core/problems.js';
import type { TableColumn } from './engine/columns.js';
import type { ComparePage, CompareRequest } from './engine/compare-rows.js';
import type { TableProfile } from './engine/profile.js';
import type { RowsPage, RowsRequest } from './engine/rows.js';
import type { TableSource } from './engine/source.js';
import type { KnownContent } from './schema/table-contents.js';
import { TableReader } from './schema/table-reader.js';
import { NotATable, TableUnreadable } from './table.problems.js';
import { TableFiles, asProblem, type TableFile } from './table-files.js';
import { TableWorkers } from './table-workers.js';
import { InvalidFilter } from './where/invalid-filter.js';

/** A file of a version as a table: what it is, or why it is none. */
export interface DescribedFile extends KnownContent {
  readonly file: TableFile;
}

/** Reads files of versions as tables. */
@Injectable()
export class TablesService {
  constructor(
    private readonly files: TableFiles,
    private readonly reader: TableReader,
    private readonly workers: TableWorkers,
  ) {}

  /** A file's schema. That it is no table, or cannot be read, is an answer as well. @throws NotFound */
  async describe(
    dataset: DatasetId,
    ref: string,
    path: string,
    sheet?: string,
  ): Promise<DescribedFile> {
    const file = await this.files.find(dataset, ref, path, sheet);
    return { file, ...(await this.reader.look(file)) };
  }

  /** A table's columns. @throws NotFound, NotATable, TableUnreadable */
  async columns(
    dataset: DatasetId,
    ref: string,
    path: string,
    sheet?: string,
  ): Promise<readonly TableColumn[]> {
    const { description, problem } = await this.describe(dataset, ref, path, sheet);
    if (problem) throw new TableUnreadable(path, problem.code, problem.detail);
    if (!description) throw new NotATable(path);
    return description.columns;
  }

  /** A page of a table's rows. @throws NotFound, NotATable, TableUnreadable, InvalidInput */
  async rows(file: TableFile, rows: RowsRequest, signal: AbortSignal): Promise<RowsPage> {
    const wholeSample = await this.reader.requireReadable(file);
    const page = await this.files.lend(file, wholeSample, (source) =>
      this.workers.requests.ask('rows', { source, rows }, signal),
    );
    if (!page) throw new NotATable(file.entry.path);
    return page;
  }

  /** Statistics of all rows of a table. @throws NotFound, NotATable, TableUnreadable */
  async profile(file: TableFile, signal: AbortSignal): Promise<TableProfile> {
    const { sizeBytes } = file.entry;
    const wholeSample = await this.reader.requireReadable(file);
    const profile = await this.files.lend(file, wholeSample, (source) =>
      this.workers.requests.ask('profile', { source, sizeBytes }, signal),
    );
    if (!profile) throw new NotATable(file.entry.path);
    return profile;
  }

  /** A page of what differs between two tables. @throws NotATable, TableUnreadable, RowsNotComparable */
  async compare(
    base: TableFile,
    head: TableFile,
    page: CompareRequest,
    signal: AbortSignal,
  ): Promise<ComparePage> {
    const tables: (TableFile & { wholeSample: boolean })[] = [];
    for (const file of [base, head]) {
      if (!(await this.files.mayBeTable(file))) throw new NotATable(file.entry.path);
      tables.push({ ...file, wholeSample: await this.reader.requireReadable(file) });
    }
    try {
      return await this.files.lendAll(tables, ([was, is]) =>
        this.workers.queries.ask(
          'compare',
          { base: was as TableSource, head: is as TableSource, page },
          signal,
        ),
      );
    } catch (error) {
      throw asProblem(error, head.entry.path);
    }
  }

  find(dataset: DatasetId, ref: string, path: string, sheet?: string): Promise<TableFile> {
    return this.files.find(dataset, ref, path, sheet);
  }
}

/** Parses a parameter of a request. @throws InvalidInput naming it */
export function parseParameter<T>(at: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof InvalidFilter)) throw error;
    throw new InvalidInput(error.message, [{ at, message: error.message }]);
  }
}
