import type { Readable } from 'node:stream';
import type { DatasetId, Sha256, VersionId } from '../ids.js';
import type { JsonObject } from '../json.js';
import { token } from '../token.js';

/** A table: a file of a version. */
export interface TableRef {
  readonly datasetId: DatasetId;
  readonly ref: string;
  readonly path: string;
  /** Of a workbook: which sheet; the first unless told. */
  readonly sheet?: string | undefined;
}

/** What a table was read from: a path of a version, and the content that stood there. */
export interface TableSourceFile {
  readonly versionId: VersionId;
  readonly path: string;
  readonly sha256: Sha256;
}

/** How rows are chosen. The same seed chooses the same rows of the same content. */
export type SampleMethod =
  /** So many, each set of them as likely as every other. */
  | { readonly kind: 'random'; readonly rows: number; readonly seed: number }
  /** Each with this probability, from 0 to 1. */
  | { readonly kind: 'bernoulli'; readonly share: number; readonly seed: number }
  /** Each so-manieth, from one of the first on (0 is the first). */
  | { readonly kind: 'systematic'; readonly every: number; readonly start: number }
  /** So many in all, from each group as many as its size or the same number says. */
  | {
      readonly kind: 'stratified';
      readonly rows: number;
      readonly by: readonly string[];
      readonly allocation: 'proportional' | 'equal';
      readonly seed: number;
    }
  /** The first in the table's own order. */
  | { readonly kind: 'first'; readonly rows: number }
  /** The first in the order of a column. */
  | {
      readonly kind: 'top';
      readonly rows: number;
      readonly column: string;
      readonly descending: boolean;
    }
  /** Those of a time, from `from` on and before `to`; ISO 8601. */
  | {
      readonly kind: 'time-range';
      readonly column: string;
      readonly from: string | null;
      readonly to: string | null;
    };

/** A table that is made of others. */
export type TableWork =
  | {
      readonly kind: 'sample';
      /** Several are one after the other; they have the same columns. */
      readonly tables: readonly TableRef[];
      readonly method: SampleMethod;
    }
  | {
      /** A row for each key that came, went or has other values. */
      readonly kind: 'diff';
      readonly base: TableRef;
      readonly head: TableRef;
      readonly key: readonly string[];
    }
  | {
      readonly kind: 'select';
      readonly datasetId: DatasetId;
      readonly ref: string;
      readonly sql: string;
    };

/** What is to be said of a table. */
export type ReportKind = 'profile' | 'correlation' | 'quality';

export type TableFileFormat = 'parquet' | 'csv';

/** Computing over tables, for other slices. Everything happens in processes that may die of it. */
export interface TableEngine {
  /**
   * Makes a table, which `consume` reads while it is made; it is whole once `consume` has seen the end
   * and `whole` is fulfilled.
   * @throws TableUnreadable, InvalidInput, NotFound, the signal's reason
   */
  produce<T>(
    work: TableWork,
    format: TableFileFormat,
    signal: AbortSignal,
    consume: (
      table: Readable,
      whole: Promise<unknown>,
      sources: readonly TableSourceFile[],
    ) => Promise<T>,
  ): Promise<T>;

  /** @throws TableUnreadable, NotFound, the signal's reason */
  report(
    kind: ReportKind,
    table: TableRef,
    signal: AbortSignal,
  ): Promise<{ report: JsonObject; sources: readonly TableSourceFile[] }>;
}

export const TABLE_ENGINE = token<TableEngine>('TABLE_ENGINE');
