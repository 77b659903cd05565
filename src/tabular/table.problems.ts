import { Problem } from '../core/problems.js';
import type { TableProblemCode } from './engine/table-problem.js';

/** The file is no table: of a kind that is none, which is no fault of it. */
export class NotATable extends Problem {
  static override readonly kind = { code: 'not-a-table', status: 422, title: 'Not a table' };

  constructor(path: string) {
    super(
      `${JSON.stringify(path)} is no table: CSV, TSV, Parquet, JSON, NDJSON, Excel, Arrow and Avro are read.`,
      { path },
    );
  }
}

/** The file should be a table and cannot be read as one; reading it again ends the same way. */
export class TableUnreadable extends Problem {
  static override readonly kind = {
    code: 'table-unreadable',
    status: 422,
    title: 'The table cannot be read',
  };

  constructor(
    path: string,
    readonly problem: TableProblemCode,
    readonly reason: string,
  ) {
    super(`${JSON.stringify(path)} is ${problem}: ${reason}`, { path, problem });
  }
}

/** Two tables cannot be compared row by row in the way that was asked for; the detail says what to do. */
export class RowsNotComparable extends Problem {
  static override readonly kind = {
    code: 'rows-not-comparable',
    status: 422,
    title: 'The rows cannot be compared',
  };

  constructor(detail: string) {
    super(detail);
  }
}

/** None of the media types that the caller takes is one that this can be answered in. */
export class NotAcceptable extends Problem {
  static override readonly kind = {
    code: 'not-acceptable',
    status: 406,
    title: 'Not acceptable',
  };

  constructor(offered: readonly string[]) {
    super(`This is answered as ${offered.join(', ')}; accept one of them.`, {
      offered: [...offered],
    });
  }
}
