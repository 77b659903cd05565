import type { Client } from 'pg';
import { type EntityManager, QueryFailedError, type QueryRunner } from 'typeorm';
import type { PreparedSql, Reader, Tx } from '../../core/contracts/unit-of-work.js';

/** One connection, for as long as its holder has it. */
export class Session implements Reader {
  private open = true;

  constructor(private readonly runner: QueryRunner) {}

  get manager(): EntityManager {
    this.requireOpen();
    return this.runner.manager;
  }

  get isOpen(): boolean {
    return this.open;
  }

  async query<Row>(sql: string | PreparedSql, parameters: readonly unknown[] = []): Promise<Row[]> {
    this.requireOpen();
    // Past TypeORM's own way to run SQL, which tells subscribers and loggers that nobody has, and
    // takes half as long again as the query itself.
    const client = (await this.runner.connect()) as Pick<Client, 'query'>;
    const statement = typeof sql === 'string' ? { text: sql } : sql;
    const values = parameters as unknown[];
    try {
      const { rows } = await client.query<Row & object>({ ...statement, values });
      return rows;
    } catch (error) {
      throw new QueryFailedError(statement.text, values, error as Error);
    }
  }

  /** From here on the connection is somebody else's. */
  close(): void {
    this.open = false;
  }

  private requireOpen(): void {
    if (!this.open) throw new Error('The transaction has ended; its work was not awaited.');
  }
}

/** A transaction that is running, and what waits for its end. */
export class Transaction extends Session implements Tx {
  private joinedFailure: { readonly error: unknown } | null = null;
  private readonly last: (() => string)[] = [];

  constructor(
    runner: QueryRunner,
    private readonly hooks: TransactionHooks,
  ) {
    super(runner);
  }

  /** What work that joined has thrown: the whole can no longer commit. */
  get failure(): { readonly error: unknown } | null {
    return this.joinedFailure;
  }

  /** Runs work as part of this transaction; where it throws, all is rolled back. */
  async join<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    try {
      return await work(this);
    } catch (error) {
      this.joinedFailure ??= { error };
      throw error;
    }
  }

  /** What is to be run last, as one query. */
  get commitSql(): string {
    return [...this.last.map((statement) => statement()), 'COMMIT'].join('; ');
  }

  atCommit(statement: () => string): void {
    this.last.push(statement);
  }

  afterCommit(hook: () => void): void {
    this.hooks.add('committed', hook);
  }

  afterRollback(hook: () => void): void {
    this.hooks.add('rolled back', hook);
  }
}

/** Told what a hook threw; the transaction's outcome stands all the same. */
export type HookFailureListener = (error: unknown) => void;

/** How a transaction ended, and what waits for that. */
export class TransactionHooks {
  /**
   * Where nobody knows, no hook may act: what a rollback's would take away may be needed, and what
   * a commit's would tell may not be so.
   */
  outcome: 'committed' | 'rolled back' | 'in doubt' = 'rolled back';
  private readonly hooks: { after: 'committed' | 'rolled back'; hook: () => unknown }[] = [];

  constructor(private readonly onFailure: HookFailureListener) {}

  add(after: 'committed' | 'rolled back', hook: () => void): void {
    this.hooks.push({ after, hook });
  }

  /** Runs each hook of the outcome, whatever the others do. An async one is not awaited. */
  settle(): void {
    for (const { after, hook } of this.hooks) {
      if (after !== this.outcome) continue;
      try {
        Promise.resolve(hook()).catch(this.onFailure);
      } catch (error) {
        this.onFailure(error);
      }
    }
  }
}
