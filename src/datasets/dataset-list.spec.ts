import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DatasetId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import {
  cursorAfter,
  DATASET_SORTS,
  isCursorOf,
  listStatement,
  ownerParameters,
  type DatasetCursor,
  type DatasetFilter,
  type DatasetSort,
} from './dataset-list.js';
import type { DatasetDetails } from './datasets.repository.js';

interface Row {
  name: string;
  description?: string;
  owner?: UserId;
  tags?: string[];
  /** Microseconds after a fixed day. */
  created?: number;
  updated?: number;
  deleted?: boolean;
  forgotten?: boolean;
}

describe('the list of datasets', () => {
  let database: TestDatabase;
  let unitOfWork: TypeOrmUnitOfWork;
  let ada: Principal;
  let bob: Principal;
  let root: Principal;

  const query = <T>(sql: string, parameters: unknown[] = []): Promise<T[]> =>
    unitOfWork.run((tx) => tx.query<T>(sql, parameters));

  const user = async (name: string, role: 'admin' | 'member'): Promise<Principal> => {
    const [row] = await query<{ id: UserId }>(
      'INSERT INTO users (name, role) VALUES ($1, $2) RETURNING id',
      [name, role],
    );
    if (!row) throw new Error('no user');
    return { userId: row.id, name, role, keyId: null };
  };

  const add = async (row: Row): Promise<DatasetId> => {
    const at = (parameter: string): string =>
      `timestamptz '2026-03-01T00:00:00Z' + ${parameter}::bigint * interval '1 microsecond'`;
    const [made] = await query<{ id: DatasetId }>(
      `INSERT INTO datasets (name, description, created_by, created_at, updated_at, deleted_at, forgotten_at)
       VALUES ($1, $2, $3, ${at('$4')}, ${at('$5')}, $6, $7) RETURNING id`,
      [
        row.name,
        row.description ?? '',
        row.owner ?? ada.userId,
        row.created ?? 0,
        row.updated ?? 0,
        row.deleted || row.forgotten ? new Date() : null,
        row.forgotten ? new Date() : null,
      ],
    );
    if (!made) throw new Error('no dataset');
    await query(`INSERT INTO dataset_tags SELECT $1, unnest($2::text[])`, [
      made.id,
      row.tags ?? [],
    ]);
    return made.id;
  };

  const list = async (
    filter: Partial<DatasetFilter> = {},
    {
      as = ada,
      after = null,
      limit = 100,
    }: { as?: Principal; after?: DatasetCursor | null; limit?: number } = {},
  ): Promise<DatasetDetails[]> => {
    const { sql, parameters } = listStatement(
      { deleted: false, sort: 'name', ...filter },
      { after, limit },
      (firstParameter) =>
        as.role === 'admin'
          ? { sql: 'TRUE', parameters: [] }
          : { sql: `d.created_by = $${firstParameter}`, parameters: [as.userId] },
    );
    return query<DatasetDetails>(sql, parameters);
  };
  const names = async (...parameters: Parameters<typeof list>): Promise<string[]> =>
    (await list(...parameters)).map(({ name }) => name);

  beforeAll(async () => {
    database = await testDatabase();
    unitOfWork = new TypeOrmUnitOfWork(await database.open(), (error) => {
      throw error;
    });
    ada = await user('ada', 'member');
    bob = await user('bob', 'member');
    root = await user('root', 'admin');
  });
  beforeEach(() => query('TRUNCATE datasets CASCADE'));
  afterAll(() => database.drop());

  it('shows only what the caller may read, with tags and owner in one query', async () => {
    await add({ name: 'mine', tags: ['b', 'a'] });
    await add({ name: 'his', owner: bob.userId });
    const [mine, ...more] = await list();
    expect(mine).toMatchObject({ name: 'mine', tags: ['a', 'b'], ownerName: 'ada' });
    expect(more).toEqual([]);
    expect(await names({}, { as: root })).toEqual(['his', 'mine']);
  });

  it('wants every tag that is asked for, however often', async () => {
    await add({ name: 'both', tags: ['x', 'y', 'z'] });
    await add({ name: 'one', tags: ['x'] });
    expect(await names({ tag: ['x'] })).toEqual(['both', 'one']);
    expect(await names({ tag: ['x', 'y', 'x'] })).toEqual(['both']);
    expect(await names({ tag: ['X'] })).toEqual([]);
  });

  it('finds an owner by name or id', async () => {
    await add({ name: 'mine' });
    await add({ name: 'his', owner: bob.userId });
    for (const owner of ['bob', String(bob.userId)]) {
      expect(await names({ owner }, { as: root })).toEqual(['his']);
    }
    for (const owner of ['BOB', '0', '99999999999']) {
      expect(await names({ owner }, { as: root })).toEqual([]);
    }
    expect(ownerParameters(bob.userId)).toEqual([null, bob.userId]);
    expect(ownerParameters('2147483648')).toEqual(['2147483648', null]);
  });

  it('finds a part of the name or the description in any case and script, and takes it literally', async () => {
    await add({ name: 'Straßen ÄÖ', description: 'ΑΒΓ 100%_done' });
    await add({ name: 'other' });
    for (const q of ['straß', 'äö', 'αβγ', '100%_', 'ß']) {
      expect(await names({ q })).toEqual(['Straßen ÄÖ']);
    }
    expect(await names({ q: '%' })).toEqual(['Straßen ÄÖ']);
    expect(await names({ q: '\\' })).toEqual([]);
    expect(await names({ name: 'other' })).toEqual(['other']);
    expect(await names({ name: 'Other' })).toEqual([]);
  });

  it('takes "after" and "before" to the millisecond that answers show', async () => {
    await add({ name: 'early', created: 999 });
    await add({ name: 'late', created: 2_000 });
    const at = (ms: number): Date => new Date(Date.parse('2026-03-01T00:00:00Z') + ms);
    expect(await names({ createdAfter: at(0) })).toEqual(['late']);
    expect(await names({ createdAfter: at(-1) })).toEqual(['early', 'late']);
    expect(await names({ createdAfter: at(2) })).toEqual([]);
    expect(await names({ createdBefore: at(2) })).toEqual(['early']);
    expect(await names({ createdBefore: at(0) })).toEqual([]);
    const first = new Date('0000-01-01T00:00:00Z');
    const last = new Date('9999-12-31T23:59:59.999Z');
    expect(await names({ createdAfter: first, createdBefore: last })).toEqual(['early', 'late']);
  });

  it('lists deleted ones that can be restored: own ones, and everybody’s for an administrator', async () => {
    await add({ name: 'alive' });
    await add({ name: 'gone', deleted: true });
    await add({ name: 'forgotten', forgotten: true });
    await add({ name: 'his', owner: bob.userId, deleted: true });
    expect(await names({ deleted: true })).toEqual(['gone']);
    expect(await names({ deleted: true }, { as: root })).toEqual(['gone', 'his']);
  });

  it('pages without skipping or repeating, under equal sort values and while others insert', async () => {
    const few = fc.integer({ min: 0, max: 2 });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom<DatasetSort>(...DATASET_SORTS),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.record({ created: few, updated: few }), { maxLength: 12 }),
        fc.array(fc.record({ created: few, updated: few }), { maxLength: 4 }),
        async (sort, limit, rows, later) => {
          await query('TRUNCATE datasets CASCADE');
          const there: DatasetId[] = [];
          for (const [index, times] of rows.entries()) {
            // Each name twice, which takes two owners: only the id tells them apart.
            const owner = index % 2 ? ada.userId : bob.userId;
            there.push(await add({ ...times, name: `n${Math.floor(index / 2)}`, owner }));
          }
          const whole = (await list({ sort }, { as: root })).map(({ id }) => id);
          expect([...whole].sort((a, b) => a - b)).toEqual(there);

          const paged: DatasetId[] = [];
          let after: DatasetCursor | null = null;
          for (let pages = 0; pages < 30; pages += 1) {
            const page: DatasetDetails[] = await list({ sort }, { as: root, after, limit });
            paged.push(...page.map(({ id }) => id));
            const last = page.at(-1);
            if (page.length < limit || !last) break;
            after = JSON.parse(JSON.stringify(cursorAfter(sort, last))) as DatasetCursor;
            expect(isCursorOf(sort)(after)).toBe(true);
            const [newcomer] = later.splice(0, 1);
            if (newcomer) await add({ ...newcomer, name: `new-${pages}`, owner: root.userId });
          }
          expect(new Set(paged).size).toBe(paged.length);
          expect(paged.filter((id) => whole.includes(id))).toEqual(whole);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('orders by name as bytes, and by time to the microsecond', async () => {
    await add({ name: 'b', created: 1, updated: 3 });
    await add({ name: 'B', created: 2, updated: 2 });
    await add({ name: 'ä', created: 3, updated: 1 });
    expect(await names({ sort: 'name' })).toEqual(['B', 'b', 'ä']);
    expect(await names({ sort: '-name' })).toEqual(['ä', 'b', 'B']);
    expect(await names({ sort: 'createdAt' })).toEqual(['b', 'B', 'ä']);
    expect(await names({ sort: '-updatedAt' })).toEqual(['b', 'B', 'ä']);
  });

  it('knows the cursors of an order from every other value', () => {
    expect(isCursorOf('name')(['name', 'ice', 3])).toBe(true);
    expect(isCursorOf('-createdAt')(['-createdAt', -1, 3])).toBe(true);
    for (const forged of [
      null,
      'name',
      ['name', 'ice'],
      ['-name', 'ice', 3],
      ['name', 3, 3],
      ['name', 'a\0', 3],
      ['name', 'ice', 0],
      ['name', 'ice', 2 ** 31],
      ['name', 'ice', 1.5],
      ['name', 'ice', '3'],
    ]) {
      expect(isCursorOf('name')(forged)).toBe(false);
    }
    for (const value of ['2026-03-01', 2 ** 60, 1.5, null]) {
      expect(isCursorOf('createdAt')(['createdAt', value, 3])).toBe(false);
    }
  });
});
