import type { ReportKind } from '../../core/contracts/tables.js';
import type { JsonObject } from '../../core/json.js';
import type { ComparePage, CompareRequest } from '../engine/compare-rows.js';
import type { TableDescription } from '../engine/describe.js';
import type { ProduceRequest } from '../engine/produce.js';
import type { TableProfile } from '../engine/profile.js';
import type { QueryAnswer, QueryRequest } from '../engine/query.js';
import type { RowsPage, RowsRequest } from '../engine/rows.js';
import type { EngineLimits } from '../engine/session.js';
import type { TableSource } from '../engine/source.js';
import type { TableProblemCode } from '../engine/table-problem.js';

/** What a worker can be asked for, and what it answers. */
export interface Operations {
  describe: {
    request: { readonly source: TableSource; readonly full: boolean };
    answer: TableDescription | null;
  };
  /** Of each file all that reading it shows, or what went wrong with that one. */
  'describe-all': {
    request: { readonly sources: readonly TableSource[] };
    answer: readonly WorkerAnswer<TableDescription | null>[];
  };
  rows: {
    request: { readonly source: TableSource; readonly rows: RowsRequest };
    answer: RowsPage | null;
  };
  compare: {
    request: {
      readonly base: TableSource;
      readonly head: TableSource;
      readonly page: CompareRequest;
    };
    answer: ComparePage;
  };
  profile: {
    request: { readonly source: TableSource; readonly sizeBytes: number };
    answer: TableProfile | null;
  };
  report: {
    request: { readonly source: TableSource; readonly kind: ReportKind };
    answer: JsonObject | null;
  };
  tables: { request: { readonly sql: string }; answer: readonly string[] };
}

/** Operations whose result goes through the worker's pipe. */
export interface StreamedOperations {
  query: { request: Omit<QueryRequest, 'output'>; answer: QueryAnswer };
  produce: { request: Omit<ProduceRequest, 'output'>; answer: void };
}

export type StreamedName = keyof StreamedOperations;

export type OperationName = keyof Operations;

/** One request on its way to a worker. */
export type WorkerRequest =
  | {
      [Name in OperationName]: {
        readonly operation: Name;
        readonly request: Operations[Name]['request'];
        readonly limits: EngineLimits;
      };
    }[OperationName]
  | {
      [Name in StreamedName]: {
        readonly operation: Name;
        readonly request: StreamedOperations[Name]['request'];
        readonly limits: EngineLimits;
        /** Where the result is written. */
        readonly output: string;
      };
    }[StreamedName];

/** What went wrong, on its way between processes. */
export type WorkerFailure =
  | { readonly kind: 'problem'; readonly code: TableProblemCode; readonly detail: string }
  | { readonly kind: 'invalid'; readonly detail: string }
  | { readonly kind: 'incomparable'; readonly detail: string }
  | { readonly kind: 'types-too-narrow'; readonly detail: string }
  | { readonly kind: 'gone' }
  | { readonly kind: 'full' }
  | { readonly kind: 'internal'; readonly detail: string };

export type WorkerAnswer<Answer = unknown> =
  | { readonly ok: true; readonly answer: Answer }
  | { readonly ok: false; readonly failure: WorkerFailure };
