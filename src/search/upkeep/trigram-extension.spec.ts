import { describe, expect, it } from '@jest/globals';
import { DatabaseError } from 'pg';
import { QueryFailedError, type QueryRunner } from 'typeorm';
import { Search1763600000070 } from '../../../migrations/1763600000070-search.js';

// A stand-in: neither a PostgreSQL without its contrib modules can be had here, nor everywhere a
// user who may make tables and no extensions.
const failingWith = (code: string) => {
  const failure = Object.assign(new DatabaseError('as PostgreSQL says it', 0, 'error'), { code });
  return {
    query: () => Promise.reject(new QueryFailedError('CREATE EXTENSION', [], failure)),
  } as unknown as QueryRunner;
};

describe('a database in which there is no pg_trgm', () => {
  it.each([
    ['42501', 'which this user may not create; run "CREATE EXTENSION pg_trgm" in this database'],
    ['0A000', 'which this PostgreSQL server does not have; install its contrib modules'],
    ['58P01', 'which this PostgreSQL server does not have; install its contrib modules'],
  ])('is refused with what to do about it (%s)', async (code, remedy) => {
    await expect(new Search1763600000070().up(failingWith(code))).rejects.toThrow(
      `searching needs the extension pg_trgm, ${remedy}`,
    );
  });

  it('is refused with what PostgreSQL says where nobody knows what to do', async () => {
    await expect(new Search1763600000070().up(failingWith('XX000'))).rejects.toThrow(
      'as PostgreSQL says it',
    );
  });
});
