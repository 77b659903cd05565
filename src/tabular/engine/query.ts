import { describeColumn, type TableColumn } from './columns.js';
import { writeResult, type OutputFormat } from './output.js';
import { openTable } from './readers/registry.js';
import type { EngineColumn, Session } from './session.js';
import type { TableSource } from './source.js';
import { identifier } from './sql-text.js';
import { tablesOf } from './select-check.js';
import { InvalidRequest, TableProblem, asFileProblem, plainMessage } from './table-problem.js';

/** A table that a query reads, under the name that it does so by. */
export interface NamedSource {
  readonly name: string;
  readonly source: TableSource;
}

export interface QueryRequest {
  /** One SELECT. */
  readonly sql: string;
  readonly tables: readonly NamedSource[];
  readonly format: OutputFormat;
  /** Where the result is written. */
  readonly output: string;
}

/** What came out of a query. */
export interface QueryAnswer {
  readonly columns: readonly TableColumn[];
}

/**
 * Runs somebody's SELECT over some tables. By then the engine has no way to anything but these tables
 * and its output: the statement has been found harmless, and the doors are shut all the same.
 * @throws InvalidRequest, TableProblem of one of the tables
 */
export async function runQuery(session: Session, request: QueryRequest): Promise<QueryAnswer> {
  const { sql, tables, format, output } = request;
  const known = new Set(tables.map(({ name }) => name));
  const unknown = (await tablesOf(session, sql)).find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new InvalidRequest(`There is no table ${JSON.stringify(unknown)}.`);
  }
  const files = await openViews(session, tables);
  await session.seal([...files, output]);
  const select = sql.replace(/[;\s]+$/, '');
  const columns = await resultColumns(session, select);
  try {
    await writeResult(session, select, columns, format, output);
  } catch (error) {
    throw asQueryProblem(error);
  }
  return { columns: columns.map((column) => describeColumn(column, null)) };
}

/** Makes each table a view by its name. @returns the files that reading them opens */
export async function openViews(
  session: Session,
  tables: readonly NamedSource[],
): Promise<string[]> {
  const files: string[] = [];
  for (const { name, source } of tables) {
    const relation = await openTable(session, source).catch((error: unknown) => {
      const problem = asFileProblem(error);
      if (!(problem instanceof TableProblem)) throw problem;
      throw new TableProblem(problem.code, `${JSON.stringify(name)}: ${problem.message}`);
    });
    if (!relation) throw new InvalidRequest(`${JSON.stringify(name)} is no table.`);
    await session.run(`CREATE TEMP VIEW ${identifier(name)} AS SELECT * FROM ${relation.from}`);
    files.push(...relation.files);
  }
  return files;
}

async function resultColumns(session: Session, select: string): Promise<EngineColumn[]> {
  try {
    const wrapped = `SELECT * FROM (${select}\n) LIMIT 0`;
    // What is one statement alone is one within parentheses, or no statement at all.
    const { count } = await session.statements(wrapped);
    if (count !== 1) throw new InvalidRequest('Send one statement, a SELECT.');
    return await session.columns(`(${select}\n)`);
  } catch (error) {
    throw asQueryProblem(error);
  }
}

/** How the engine begins to tell of what it found in a file, and not in the statement. */
const OF_A_FILE = /^(CSV Error|.*\bCSV Error on Line)|Failed to read file/m;

/** What is wrong with a query is the caller's to mend, except where it is the table's, or too much. */
export function asQueryProblem(error: unknown): Error {
  if (error instanceof InvalidRequest) return error;
  const problem = asFileProblem(error);
  const isTables = OF_A_FILE.test(String((error as { message?: unknown } | null)?.message));
  if (!(problem instanceof TableProblem) || problem.code === 'too-large' || isTables)
    return problem;
  return new InvalidRequest(plainMessage(error));
}
