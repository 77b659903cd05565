import { AsyncLocalStorage } from 'node:async_hooks';
import { type Client, DatabaseError, escapeLiteral, type QueryResult } from 'pg';
import type { DataSource, QueryRunner } from 'typeorm';
import type { Reader, Tx, UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { RequestContext } from '../logging/request-context.js';
import { type HookFailureListener, Session, Transaction, TransactionHooks } from './transaction.js';

/** Something inside the transaction failed, its error was swallowed, and the work went on. */
export class TransactionDoomed extends Error {
  override readonly name = 'TransactionDoomed';

  constructor(cause: unknown) {
    super('The transaction cannot commit: a part of it failed, and that error was swallowed.', {
      cause,
    });
  }
}

/**
 * Transactions on a TypeORM data source, whose sessions default to READ COMMITTED
 * (`postgresOptions`). An asynchronous context has at most one.
 */
export class TypeOrmUnitOfWork implements UnitOfWork {
  private readonly current = new AsyncLocalStorage<Session>();
  private transactions = 0;

  constructor(
    private readonly dataSource: DataSource,
    private readonly onHookFailure: HookFailureListener,
  ) {}

  async run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const outer = this.current.getStore();
    if (outer instanceof Transaction && outer.isOpen) return outer.join(work);
    const hooks = new TransactionHooks(this.onHookFailure);
    this.transactions++;
    try {
      return await this.onConnection((runner) => this.transact(runner, hooks, work));
    } finally {
      this.transactions--;
      // Only now: the connection is free again for what the hooks set off.
      hooks.settle();
    }
  }

  isRunning(): boolean {
    const outer = this.current.getStore();
    return outer instanceof Transaction && outer.isOpen;
  }

  get open(): number {
    return this.transactions;
  }

  async read<T>(work: (tx: Reader) => Promise<T>): Promise<T> {
    const outer = this.current.getStore();
    if (outer?.isOpen) return work(outer);
    return this.onConnection(async (runner) => {
      const session = new Session(runner);
      return this.current.run(session, () => work(session)).finally(() => session.close());
    });
  }

  private async onConnection<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      await runner.connect();
      return await work(runner);
    } finally {
      await runner.release();
    }
  }

  private async transact<T>(
    runner: QueryRunner,
    hooks: TransactionHooks,
    work: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    await begin(runner);
    const tx = new Transaction(runner, hooks);
    try {
      const result = await this.current.run(tx, () => work(tx)).finally(() => tx.close());
      if (tx.failure !== null) throw new TransactionDoomed(tx.failure.error);
      const { commitSql } = tx;
      hooks.outcome = 'in doubt';
      hooks.outcome = await commit(runner, commitSql);
      if (hooks.outcome === 'rolled back') throw new TransactionDoomed(undefined);
      return result;
    } catch (error) {
      if (isRefusal(error)) hooks.outcome = 'rolled back';
      // A lost connection has nothing to roll back, and the error that led here counts.
      await runner.rollbackTransaction().catch(() => undefined);
      throw error;
    }
  }
}

/**
 * Not TypeORM's: the audit's triggers read who the caller is from a setting of the transaction, and
 * one round trip must do for both.
 */
async function begin(runner: QueryRunner): Promise<void> {
  const client = (await runner.connect()) as Pick<Client, 'query'>;
  const caller = RequestContext.caller();
  const setting = caller
    ? `; SET LOCAL varve.caller = ${escapeLiteral(JSON.stringify(caller))}`
    : '';
  await client.query(`START TRANSACTION${setting}`);
  Object.assign(runner, { isTransactionActive: true, transactionDepth: 1 });
}

/** What a statement is told once an earlier one of its transaction has failed. */
const ABORTED = '25P02';

/** Not TypeORM's: once a statement has failed, PostgreSQL answers COMMIT with a mere ROLLBACK. */
async function commit(runner: QueryRunner, sql: string): Promise<'committed' | 'rolled back'> {
  const client = (await runner.connect()) as Pick<Client, 'query'>;
  try {
    // One answer for each statement; a single one's stands alone.
    const answers: QueryResult[] = [await client.query(sql)].flat();
    return answers.at(-1)?.command === 'COMMIT' ? 'committed' : 'rolled back';
  } catch (error) {
    if (error instanceof DatabaseError && error.code === ABORTED) return 'rolled back';
    throw error;
  }
}

/**
 * Whether the server itself refused to commit and stayed connected, such as for a deferred
 * constraint. After any other failure of COMMIT it may have committed before it was cut off.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError && error.severity === 'ERROR';
}
