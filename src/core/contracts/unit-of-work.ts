import type { EntityManager } from 'typeorm';
import { token } from '../token.js';

/**
 * SQL that each connection parses and plans once and then knows by name: for short statements that
 * run at every request, where that takes longer than the rest. The text must be a constant.
 */
export interface PreparedSql {
  /** Unique among all of them. */
  readonly name: string;
  readonly text: string;
}

/**
 * A running transaction. It is always an argument, and the first: a function that takes a `Tx`
 * joins the caller's transaction, one that does not has its own.
 */
export interface Tx {
  /** TypeORM's manager, bound to this transaction. */
  readonly manager: EntityManager;
  /** Runs one SQL statement and gives its rows. */
  query<Row>(sql: string | PreparedSql, parameters?: readonly unknown[]): Promise<Row[]>;
  /**
   * Runs one SQL statement last, on the way of the commit itself: it takes no round trip of its own,
   * and where it fails nothing is committed. Nothing here sees what it has done. `statement` is
   * called once, when the outermost transaction's work is done.
   */
  atCommit(statement: () => string): void;
  /** Calls `hook` once the outermost transaction has committed; never when it rolls back. */
  afterCommit(hook: () => void): void;
  /**
   * Calls `hook` once the outermost transaction has rolled back, or its commit has been refused.
   * When the connection is lost during the commit nobody knows how it ended, and neither kind of
   * hook is called: leave nothing to a hook that a collector could not take up later.
   */
  afterRollback(hook: () => void): void;
}

/** Runs work in a transaction (READ COMMITTED). */
export interface UnitOfWork {
  /**
   * Commits what `work` does, or rolls all of it back when it throws. Called inside another
   * `run` of the same asynchronous context, it joins that one, which then cannot commit when this
   * one threw, even where the error was swallowed in between.
   */
  run<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Whether this asynchronous context is inside a `run`, which another would join. */
  isRunning(): boolean;
  /** How many transactions this process has open, in whichever context. */
  readonly open: number;
  /** Runs reading `work` on one connection, outside any transaction of its own. */
  read<T>(work: (tx: Pick<Tx, 'manager' | 'query'>) => Promise<T>): Promise<T>;
}

/** What only reads needs: the one half of a transaction, so that any `Tx` will do. */
export type Reader = Pick<Tx, 'manager' | 'query'>;

export const UNIT_OF_WORK = token<UnitOfWork>('UNIT_OF_WORK');
