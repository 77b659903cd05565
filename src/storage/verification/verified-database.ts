/** Runs one SQL statement and gives its rows. */
export interface Queries {
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
}

/**
 * The database under verification: no more of it than a plain connection has, so that verifying
 * needs nothing of the server that it checks.
 */
export interface VerifiedDatabase extends Queries {
  /** Runs work in a transaction (READ COMMITTED). */
  transaction<T>(work: (tx: Queries) => Promise<T>): Promise<T>;
}
