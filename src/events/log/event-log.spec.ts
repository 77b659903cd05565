import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { newest, type LogClient } from './event-log.js';

describe('the newest event', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
  });

  afterAll(() => database.drop());

  it.each([
    ['of two transactions', '1000', '5'],
    ['of one transaction', '1000', '10'],
  ])(
    '%s is the one with the greater number, not with the greater text',
    async (_, tx, position) => {
      await dataSource.query(
        `INSERT INTO events (transaction_id, position, type, source, subject, data)
       VALUES ('999', (SELECT count(*) + 1 FROM events), 'a.b', '/', 's', '{}'), ($1::text::xid8, $2::bigint, 'a.b', '/', 's', '{}')`,
        [tx, position],
      );
      const client = {
        query: async (text: string) => ({ rows: await dataSource.query<unknown[]>(text) }),
      } as unknown as LogClient;
      expect(await newest(client)).toEqual({ transactionId: tx, position });
    },
  );
});
