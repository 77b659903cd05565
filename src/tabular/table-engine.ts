import { Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type {
  ReportKind,
  TableEngine,
  TableFileFormat,
  TableRef,
  TableSourceFile,
  TableWork,
} from '../core/contracts/tables.js';
import type { JsonObject } from '../core/json.js';
import { QueriesService } from './queries.service.js';
import { TableReader } from './schema/table-reader.js';
import { TableFiles, asProblem, sourceOf, type TableFile } from './table-files.js';
import { NotATable } from './table.problems.js';
import { TableWorkers } from './table-workers.js';
import { withWiderTypes } from './wider-types.js';
import { streamOf } from './worker/worker-result.js';

/** Computes over tables for other slices, on the workers of jobs. */
@Injectable()
export class WorkerTableEngine implements TableEngine {
  constructor(
    private readonly files: TableFiles,
    private readonly reader: TableReader,
    private readonly workers: TableWorkers,
    private readonly queries: QueriesService,
  ) {}

  async produce<T>(
    work: TableWork,
    format: TableFileFormat,
    signal: AbortSignal,
    consume: (
      table: Readable,
      whole: Promise<unknown>,
      sources: readonly TableSourceFile[],
    ) => Promise<T>,
  ): Promise<T> {
    if (work.kind === 'select') {
      const { datasetId, ref, sql } = work;
      const pool = this.workers.jobs;
      return this.queries.run(
        datasetId,
        ref,
        { sql, format },
        signal,
        (table, whole, sources) => consume(streamOf(table), whole, sources),
        pool,
      );
    }
    const refs = work.kind === 'sample' ? work.tables : [work.base, work.head];
    const tables = await Promise.all(refs.map((ref) => this.open(ref)));
    const name = refs.map(({ path }) => path).join(', ');
    const task =
      work.kind === 'sample'
        ? { kind: work.kind, method: work.method }
        : { kind: work.kind, key: work.key };
    try {
      // What a job has read of a table that failed half-way is worth nothing: it reads it anew.
      return await withWiderTypes(tables, (some) =>
        this.files.lendAll(some, (sources) =>
          this.workers.jobs.stream(
            'produce',
            { work: task, tables: sources, format },
            signal,
            (table, whole) => consume(streamOf(table), whole, some.map(sourceOf)),
          ),
        ),
      );
    } catch (error) {
      throw asProblem(error, name);
    }
  }

  async report(
    kind: ReportKind,
    table: TableRef,
    signal: AbortSignal,
  ): Promise<{ report: JsonObject; sources: TableSourceFile[] }> {
    const file = await this.open(table);
    const report = await this.files.lend(file, file.wholeSample, (source) =>
      this.workers.jobs.ask('report', { source, kind }, signal),
    );
    if (!report) throw new NotATable(table.path);
    return { report, sources: [sourceOf(file)] };
  }

  private async open({
    datasetId,
    ref,
    path,
    sheet,
  }: TableRef): Promise<TableFile & { wholeSample: boolean }> {
    const file = await this.files.find(datasetId, ref, path, sheet);
    return { ...file, wholeSample: await this.reader.requireReadable(file) };
  }
}
