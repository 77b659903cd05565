import {
  DuckDBInstance,
  type DuckDBConnection,
  type DuckDBDataChunk,
  type DuckDBMaterializedResult,
  type DuckDBType,
} from '@duckdb/node-api';
import { literal } from './sql-text.js';
import { TableProblem } from './table-problem.js';

/** What one engine may use. */
export interface EngineLimits {
  readonly memoryBytes: number;
  readonly threads: number;
  /** Where it may spill to, and how much. */
  readonly scratchDir: string;
  readonly scratchBytes: number;
}

/** How much of a result is made while what came before is still being used. */
const STREAMED_AHEAD = '16MiB';

/**
 * After a larger result an engine is not used again: the memory of what was read stays with it, and with
 * the result itself until that is collected.
 */
const KEPT_RESULT_BYTES = 1024 * 1024;

/** A column as the engine knows it. */
export interface EngineColumn {
  readonly name: string;
  readonly type: DuckDBType;
}

/** A value that a statement is given: always as text, cast where it is used. */
export type Parameter = string;

/** One engine: nothing of a request is there for the next, but what a file says of itself. */
export class Session {
  /** Nothing was done in it but reading to the end: what it is now, it was when it was opened. */
  isAsOpened = true;

  /** The newest answer of `columns`: who pages through a file asks for it again and again. */
  private columnsKnown: { readonly from: string; readonly columns: EngineColumn[] } | null = null;

  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
    readonly limits: EngineLimits,
  ) {}

  static async open(limits: EngineLimits): Promise<Session> {
    const instance = await DuckDBInstance.create(':memory:', {
      threads: String(limits.threads),
      memory_limit: `${Math.floor(limits.memoryBytes / 1024)}KiB`,
      temp_directory: limits.scratchDir,
      max_temp_directory_size: `${Math.floor(limits.scratchBytes / 1024)}KiB`,
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
      allow_community_extensions: 'false',
    });
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    // Of files that are read in place, which never change: a directory is read once, not for each page.
    await connection.run('SET parquet_metadata_cache = true');
    await connection.run(`SET streaming_buffer_size = '${STREAMED_AHEAD}'`);
    return new Session(instance, connection, limits);
  }

  /**
   * Takes the engine's way to everything but these files away, for good. From here on it can be given
   * SQL of other people, once that has been found to be one harmless SELECT.
   */
  async seal(files: readonly string[]): Promise<void> {
    this.isAsOpened = false;
    await this.connection.run(`SET allowed_paths = [${files.map(literal).join(', ')}]`);
    await this.connection.run('SET enable_external_access = false');
    await this.connection.run('SET lock_configuration = true');
  }

  async run(sql: string): Promise<void> {
    this.isAsOpened = false;
    await this.connection.run(sql);
  }

  /** The columns that a FROM clause gives. */
  async columns(from: string): Promise<EngineColumn[]> {
    if (this.columnsKnown?.from === from) return this.columnsKnown.columns;
    const columns = columnsOf(await this.connection.run(`SELECT * FROM ${from} LIMIT 0`));
    this.columnsKnown = { from, columns };
    return columns;
  }

  /** All rows of a small result, as arrays of JSON values; what JSON cannot hold is text. */
  async rows<Row extends readonly unknown[]>(
    sql: string,
    parameters: readonly Parameter[] = [],
  ): Promise<Row[]> {
    const reader = await this.connection.runAndReadAll(sql, given(parameters));
    return reader.getRowsJson() as unknown as Row[];
  }

  /** The one row of a result that has one. */
  async row<Row extends readonly unknown[]>(
    sql: string,
    parameters: readonly Parameter[] = [],
  ): Promise<Row> {
    const [row] = await this.rows<Row>(sql, parameters);
    if (!row) throw new Error('The statement gave no row.');
    return row;
  }

  /** The texts of a result with one column, which is small. */
  async *texts(sql: string, parameters: readonly Parameter[] = []): AsyncGenerator<string | null> {
    const wasAsOpened = this.isAsOpened;
    this.isAsOpened = false;
    const result = await this.connection.run(sql, given(parameters));
    let bytes = 0;
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) {
        this.isAsOpened = wasAsOpened && bytes <= KEPT_RESULT_BYTES;
        return;
      }
      for (const value of chunk.getColumnValues(0) as (string | null)[]) {
        bytes += value?.length ?? 0;
        yield value;
      }
    }
  }

  /**
   * The chunks of a SELECT's result, each fetched while the one before is being used. A result that fails
   * half-way ends like one that is whole, for the engine's C interface says nothing there; but the
   * transaction that it ran in is lost, which the next statement is told.
   */
  async *chunks(
    select: string,
    parameters: readonly Parameter[] = [],
  ): AsyncGenerator<DuckDBDataChunk> {
    await this.run('BEGIN TRANSACTION READ ONLY');
    const result = await this.connection.stream(select, given(parameters));
    const fetch = () => {
      const fetched = result.fetchChunk();
      // It is awaited below, but maybe only once somebody has taken what came before.
      fetched.catch(() => undefined);
      return fetched;
    };
    let next = fetch();
    try {
      for (let chunk = await next; chunk && chunk.rowCount > 0; chunk = await next) {
        next = fetch();
        yield chunk;
      }
    } finally {
      // Whoever stops in the middle closes the engine: not under somebody who reads from it.
      await next.catch(() => undefined);
    }
    try {
      await this.connection.run('SELECT 1');
    } catch {
      throw await this.failureOf(select, parameters);
    }
    await this.connection.run('COMMIT');
  }

  /** What a SELECT fails by: made once more, each of its values looked at. */
  private async failureOf(select: string, parameters: readonly Parameter[]): Promise<Error> {
    await this.connection.run('ROLLBACK');
    try {
      await this.rows(`SELECT bit_xor(hash(COLUMNS(*))) FROM (${select})`, parameters);
    } catch (error) {
      return error as Error;
    }
    return new TableProblem('too-large', 'The result could not be made to its end.');
  }

  /** The statements that a text holds. @throws where it does not parse */
  statements(sql: string) {
    return this.connection.extractStatements(sql);
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
  }
}

/** Nothing where there are none: a statement that is prepared is planned twice. */
function given(parameters: readonly Parameter[]): Parameter[] | undefined {
  return parameters.length > 0 ? [...parameters] : undefined;
}

function columnsOf(result: DuckDBMaterializedResult): EngineColumn[] {
  const types = result.columnTypes();
  return result.columnNames().map((name, at) => ({ name, type: types[at] as DuckDBType }));
}
