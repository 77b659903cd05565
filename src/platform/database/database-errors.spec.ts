import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Client, DatabaseError, Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { asInvalidInput, asUnavailable } from './database-errors.js';
import { TypeOrmUnitOfWork } from './unit-of-work.js';

describe('what a database error is answered with', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    await dataSource.query('CREATE TABLE things (id integer PRIMARY KEY, text text, json jsonb)');
    await dataSource.query('INSERT INTO things VALUES (1), (2)');
  });
  afterAll(() => database.drop());

  const failure = async (work: Promise<unknown>): Promise<unknown> => {
    const outcome = await work.then(
      () => 'nothing',
      (error: unknown) => ({ error }),
    );
    if (typeof outcome === 'string') throw new Error('It did not fail.');
    return outcome.error;
  };
  const retryAfter = (error: unknown) => asUnavailable(error)?.headers['Retry-After'] ?? null;
  const serverSays = (code: string) => Object.assign(new DatabaseError('…', 0, 'error'), { code });

  it('is 503 while nobody listens there, under one address or several', async () => {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    listener.close();
    await once(listener, 'close');
    for (const host of ['127.0.0.1', 'localhost']) {
      const client = new Client({ host, port });
      expect(retryAfter(await failure(client.connect()))).toBe('5');
      await client.end();
    }
    const [first, second] = [new Error('first'), new Error('second')];
    Object.assign(second, { code: 'ECONNREFUSED', syscall: 'connect' });
    expect(retryAfter(new AggregateError([first, second]))).toBe('5');
  });

  it('is 503 when the pool has no connection to give', async () => {
    const pool = new Pool({
      connectionString: database.url,
      max: 1,
      connectionTimeoutMillis: 1_000,
    });
    const taken = await pool.connect();
    expect(retryAfter(await failure(pool.query('SELECT 1')))).toBe('5');
    taken.release();
    await pool.end();
    expect(retryAfter(await failure(pool.query('SELECT 1')))).toBe('5');
  });

  it('is 503 when the server ends the connection, at once and for what comes after', async () => {
    const runner = dataSource.createQueryRunner();
    expect(
      retryAfter(await failure(runner.query('SELECT pg_terminate_backend(pg_backend_pid())'))),
    ).toBe('5');
    expect(retryAfter(await failure(runner.query('SELECT 1')))).toBe('5');
    await runner.release();
  });

  it('is 503 for the loser of a deadlock', async () => {
    const unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
    const both = Promise.withResolvers<void>();
    let waiting = 0;
    const lockBoth = (first: number, second: number) =>
      unitOfWork.run(async (tx) => {
        const lock = 'SELECT 1 FROM things WHERE id = $1 FOR UPDATE';
        await tx.query(lock, [first]);
        if (++waiting === 2) both.resolve();
        await both.promise;
        await tx.query(lock, [second]);
      });
    const outcomes = await Promise.allSettled([lockBoth(1, 2), lockBoth(2, 1)]);
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(lost).toHaveLength(1);
    expect(retryAfter(lost[0]!.reason)).toBe('1');
  });

  it('is 503 for a swallowed loss of the connection, found when committing', async () => {
    const unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
    const doomed = unitOfWork.run(async () => {
      const lose = (tx: { query(sql: string): Promise<unknown> }) =>
        tx.query('SELECT pg_terminate_backend(pg_backend_pid())');
      await unitOfWork.run(lose).catch(() => undefined);
    });
    expect(retryAfter(await failure(doomed))).toBe('5');
  });

  it.each([
    ['08006', '5'],
    ['57P01', '5'],
    ['57P03', '5'],
    ['53300', '1'],
    ['53100', '5'],
    ['40001', '1'],
    ['57014', '1'],
  ])('is 503 for SQLSTATE %s', (code, seconds) => {
    expect(retryAfter(serverSays(code))).toBe(seconds);
  });

  it('is nothing special for other errors, such as a socket of the request itself', async () => {
    expect(asUnavailable(await failure(dataSource.query('SELECT 1/0')))).toBeNull();
    expect(asUnavailable(serverSays('23505'))).toBeNull();
    expect(asUnavailable(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))).toBeNull();
    for (const other of [undefined, null, 'text', new Error('other')]) {
      expect(asUnavailable(other)).toBeNull();
      expect(asInvalidInput(other)).toBeNull();
    }
  });

  it.each([
    ['NUL in a text', 'UPDATE things SET text = $1', 'a\0b'],
    ['NUL in a JSON value', 'UPDATE things SET json = $1', '{"a":"\\u0000"}'],
    ['half of a surrogate pair', 'UPDATE things SET json = $1', '{"a":"\\ud800"}'],
    ['nesting without end', 'UPDATE things SET json = $1', '['.repeat(200_000)],
  ])('is 400 for %s', async (_, sql, value) => {
    const error = await failure(dataSource.query(sql, [value]));
    expect(asInvalidInput(error)?.kind.status).toBe(400);
    expect(asUnavailable(error)).toBeNull();
  });

  it('is not 400 for a fault of ours', async () => {
    const error = await failure(dataSource.query('SELECT $1::integer', ['x']));
    expect(asInvalidInput(error)).toBeNull();
  });
});
