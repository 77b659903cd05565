import { compareRows } from '../engine/compare-rows.js';
import { describeTable, type TableDescription } from '../engine/describe.js';
import { produceTable } from '../engine/produce.js';
import { profileTable } from '../engine/profile.js';
import { runQuery } from '../engine/query.js';
import { reportOn } from '../engine/reports.js';
import { readRows } from '../engine/rows.js';
import type { EngineLimits, Session } from '../engine/session.js';
import { tablesOf } from '../engine/select-check.js';
import type { TableSource } from '../engine/source.js';
import {
  InvalidRequest,
  NotComparable,
  TableProblem,
  TypesTooNarrow,
  asFileProblem,
} from '../engine/table-problem.js';
import { InvalidFilter } from '../where/invalid-filter.js';
import { freshEngines, type Engines } from './engines.js';
import type { WorkerAnswer, WorkerFailure, WorkerRequest } from './protocol.js';

/** Does what a worker is asked, in an engine of its own. */
export async function perform(
  asked: WorkerRequest,
  engines: Engines = freshEngines,
): Promise<unknown> {
  const lender: Lender = { engines, limits: asked.limits };
  switch (asked.operation) {
    case 'describe': {
      const { source, full } = asked.request;
      return onTable(lender, source, (session, table) => describeTable(session, table, full));
    }
    case 'describe-all': {
      const answers: WorkerAnswer<TableDescription | null>[] = [];
      for (const source of asked.request.sources) {
        const read = onTable(lender, source, (session, table) =>
          describeTable(session, table, true),
        );
        answers.push(
          await read.then(
            (answer) => ({ ok: true, answer }),
            (error: unknown) => ({ ok: false, failure: failureOf(error) }),
          ),
        );
      }
      return answers;
    }
    case 'rows': {
      const { source, rows } = asked.request;
      return onTable(lender, source, (session, table) => readRows(session, table, rows));
    }
    case 'compare': {
      const { base, head, page } = asked.request;
      return onTables(lender, [base, head], (session, [was, is]) =>
        compareRows(session, was, is, page),
      );
    }
    case 'profile': {
      const { source, sizeBytes } = asked.request;
      return onTable(lender, source, (session, table) => profileTable(session, table, sizeBytes));
    }
    case 'report': {
      const { source, kind } = asked.request;
      return onTable(lender, source, (session, table) => reportOn(session, table, kind));
    }
    case 'produce': {
      const request = { ...asked.request, output: asked.output };
      return inSession(lender, (session) => produceTable(session, request));
    }
    case 'tables':
      return inSession(lender, (session) => tablesOf(session, asked.request.sql));
    case 'query': {
      const request = { ...asked.request, output: asked.output };
      return inSession(lender, (session) => runQuery(session, request));
    }
  }
}

/** Who lends an engine to some work, and what that may use. */
interface Lender {
  readonly engines: Engines;
  readonly limits: EngineLimits;
}

function onTable<T>(
  lender: Lender,
  source: TableSource,
  read: (session: Session, source: TableSource) => Promise<T>,
): Promise<T> {
  return onTables(lender, [source], (session, [table]) => read(session, table));
}

/** Reads tables; once more, with types taken from all of them, where those of a sample do not fit. */
async function onTables<T, Sources extends [TableSource, ...TableSource[]]>(
  lender: Lender,
  sources: Sources,
  read: (session: Session, sources: Sources) => Promise<T>,
): Promise<T> {
  try {
    return await inSession(lender, (session) => read(session, sources));
  } catch (error) {
    if (!(error instanceof TypesTooNarrow)) throw error;
    if (sources.every(({ wholeSample }) => wholeSample)) {
      throw new TableProblem('malformed', error.message);
    }
    const whole = sources.map((source) => ({ ...source, wholeSample: true })) as Sources;
    return onTables(lender, whole, read);
  }
}

/** Lends an engine to some work, and says of its errors what they mean for the file. */
export async function inSession<T>(
  { engines, limits }: Lender,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await engines.open(limits);
  try {
    return await work(session);
  } catch (error) {
    session.isAsOpened = false;
    throw error instanceof InvalidFilter ? error : asFileProblem(error);
  } finally {
    engines.close(session);
  }
}

/** An error on its way out of the process. */
export function failureOf(error: unknown): WorkerFailure {
  if (error instanceof TableProblem) {
    return { kind: 'problem', code: error.code, detail: error.message };
  }
  if (error instanceof InvalidRequest || error instanceof InvalidFilter) {
    return { kind: 'invalid', detail: error.message };
  }
  if (error instanceof NotComparable) return { kind: 'incomparable', detail: error.message };
  if (error instanceof TypesTooNarrow) return { kind: 'types-too-narrow', detail: error.message };
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (code === 'ENOENT') return { kind: 'gone' };
  if (code === 'ENOSPC' || /No space left on device/i.test(String(message)))
    return { kind: 'full' };
  return { kind: 'internal', detail: String(message ?? error) };
}
