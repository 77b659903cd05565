import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { DatabaseModule } from './database.module.js';

describe('DatabaseModule', () => {
  let database: TestDatabase;
  let module: TestingModule;
  let unitOfWork: UnitOfWork;

  beforeAll(async () => {
    database = await testDatabase();
    module = await Test.createTestingModule({
      imports: [DatabaseModule.register({ url: database.url, poolSize: 3 })],
    }).compile();
    unitOfWork = module.get<UnitOfWork>(UNIT_OF_WORK);
  });
  afterAll(async () => {
    await module.close();
    await database.drop();
  });

  const setting = async (name: string) => {
    const [row] = await unitOfWork.read((reader) =>
      reader.query<{ value: string }>('SELECT current_setting($1) AS value', [name]),
    );
    return row?.value;
  };

  it('binds the unit of work to sessions that are set up', async () => {
    expect(await setting('application_name')).toBe('varve');
    expect(await setting('default_transaction_isolation')).toBe('read committed');
    expect(await setting('idle_in_transaction_session_timeout')).toBe('2min');
    expect(await setting('statement_timeout')).toBe('10min');
  });

  it('opens as many connections as it may, and lets the rest wait for them', async () => {
    const pids = await Promise.all(
      Array.from({ length: 12 }, () =>
        unitOfWork.run(async (tx) => {
          const [row] = await tx.query<{ pid: number }>(
            'SELECT pg_backend_pid() AS pid, pg_sleep(0.01)',
          );
          return row?.pid;
        }),
      ),
    );
    expect(new Set(pids).size).toBe(3);
  });

  it('logs the loss of idle connections, and replaces them', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue(undefined);
    const outside = await database.open();
    await outside.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'`,
    );
    while (warn.mock.calls.length === 0) await new Promise(setImmediate);
    expect(String(warn.mock.calls[0]![0])).toMatch(/idle connection was lost/);
    expect(await module.get(DataSource).query('SELECT 1 AS up')).toEqual([{ up: 1 }]);
    warn.mockRestore();
  });

  it('logs what a hook of a transaction throws', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockReturnValue(undefined);
    await unitOfWork.run(async (tx) => {
      tx.afterCommit(() => {
        throw new RangeError('too far');
      });
    });
    expect(String(error.mock.calls[0]?.[0])).toMatch(/hook failed: RangeError: too far\n +at /);
    error.mockRestore();
  });
});
