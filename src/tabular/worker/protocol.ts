import type { TableDescription } from '../engine/describe.js';
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
  rows: {
    request: { readonly source: TableSource; readonly rows: RowsRequest };
    answer: RowsPage | null;
  };
}

export type OperationName = keyof Operations;

/** One request on its way to a worker. */
export type WorkerRequest = {
  [Name in OperationName]: {
    readonly operation: Name;
    readonly request: Operations[Name]['request'];
    readonly limits: EngineLimits;
  };
}[OperationName];

/** What went wrong, on its way between processes. */
export type WorkerFailure =
  | { readonly kind: 'problem'; readonly code: TableProblemCode; readonly detail: string }
  | { readonly kind: 'invalid'; readonly detail: string }
  | { readonly kind: 'gone' }
  | { readonly kind: 'internal'; readonly detail: string };

export type WorkerAnswer =
  | { readonly ok: true; readonly answer: unknown; readonly outputBytes: number }
  | { readonly ok: false; readonly failure: WorkerFailure };
