import {
  DuckDBInstance,
  type DuckDBConnection,
  type DuckDBMaterializedResult,
  type DuckDBType,
} from '@duckdb/node-api';
import { literal } from './sql-text.js';

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

/** A column as the engine knows it. */
export interface EngineColumn {
  readonly name: string;
  readonly type: DuckDBType;
}

/** A value that a statement is given: always as text, cast where it is used. */
export type Parameter = string;

/** One engine: nothing of a request is there for the next. */
export class Session {
  /** Nothing was done in it but reading to the end: what it is now, it was when it was opened. */
  isAsOpened = true;

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
    const result = await this.connection.run(`SELECT * FROM ${from} LIMIT 0`);
    return columnsOf(result);
  }

  /** All rows of a small result, as arrays of JSON values; what JSON cannot hold is text. */
  async rows<Row extends readonly unknown[]>(
    sql: string,
    parameters: readonly Parameter[] = [],
  ): Promise<Row[]> {
    const reader = await this.connection.runAndReadAll(sql, [...parameters]);
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

  /** The texts of a result with one column, as they are made. */
  async *texts(sql: string, parameters: readonly Parameter[] = []): AsyncGenerator<string | null> {
    const wasAsOpened = this.isAsOpened;
    this.isAsOpened = false;
    const result = await this.connection.stream(sql, [...parameters]);
    for (;;) {
      const chunk = await result.fetchChunk();
      if (!chunk || chunk.rowCount === 0) {
        this.isAsOpened = wasAsOpened;
        return;
      }
      for (const value of chunk.getColumnValues(0)) yield value as string | null;
    }
  }

  /** Runs a statement whose result is read chunk by chunk. */
  stream(sql: string, parameters: readonly Parameter[] = []) {
    this.isAsOpened = false;
    return this.connection.stream(sql, [...parameters]);
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

function columnsOf(result: DuckDBMaterializedResult): EngineColumn[] {
  const types = result.columnTypes();
  return result.columnNames().map((name, at) => ({ name, type: types[at] as DuckDBType }));
}
