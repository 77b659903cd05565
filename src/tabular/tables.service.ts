import { Injectable } from '@nestjs/common';
import type { DatasetId } from '../core/ids.js';
import { InvalidInput } from '../core/problems.js';
import type { TableDescription } from './engine/describe.js';
import type { RowsPage, RowsRequest } from './engine/rows.js';
import { NotATable, TableUnreadable } from './table.problems.js';
import { TableFiles, type TableFile } from './table-files.js';
import { TableWorkers } from './table-workers.js';
import { InvalidFilter } from './where/invalid-filter.js';

/** A file of a version as a table: what it is, or why it is none. */
export interface DescribedFile {
  readonly file: TableFile;
  readonly description: TableDescription | null;
  readonly problem: { readonly code: string; readonly detail: string } | null;
}

/** Reads files of versions as tables. */
@Injectable()
export class TablesService {
  constructor(
    private readonly files: TableFiles,
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
    try {
      const description = await this.files.lend(file, false, (source) =>
        this.workers.requests.ask('describe', { source, full: false }),
      );
      return { file, description, problem: null };
    } catch (error) {
      if (!(error instanceof TableUnreadable)) throw error;
      const { problem: code, reason: detail } = error;
      return { file, description: null, problem: { code, detail } };
    }
  }

  /** A page of a table's rows. @throws NotFound, NotATable, TableUnreadable, InvalidInput */
  async rows(file: TableFile, rows: RowsRequest, signal: AbortSignal): Promise<RowsPage> {
    const page = await this.files.lend(file, false, (source) =>
      this.workers.requests.ask('rows', { source, rows }, signal),
    );
    if (!page) throw new NotATable(file.entry.path);
    return page;
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
