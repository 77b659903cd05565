import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Tx } from '../core/contracts/unit-of-work.js';
import type { DatasetId, UserId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { readConfig } from '../platform/config/config.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import { DatasetNameTaken } from './dataset.problems.js';
import { DatasetsRepository, type DatasetDetails, type NewDataset } from './datasets.repository.js';

const DAY_MS = 24 * 60 * 60 * 1000;

const aDataset = (changes: Partial<NewDataset> = {}): NewDataset => ({
  name: 'ice',
  description: '',
  metadata: {},
  tags: [],
  defaultBranch: 'main',
  ...changes,
});

describe('DatasetsRepository', () => {
  const repository = new DatasetsRepository(readConfig({ DATASET_RETENTION: '7d' }));
  let database: TestDatabase;
  let unitOfWork: TypeOrmUnitOfWork;
  let ada: UserId;
  let bob: UserId;

  const run = <T>(work: (tx: Tx) => Promise<T>): Promise<T> => unitOfWork.run(work);
  const insert = (dataset: Partial<NewDataset>, owner = ada): Promise<DatasetId> =>
    run((tx) => repository.insert(tx, owner, aDataset(dataset)));
  const details = (id: DatasetId): Promise<DatasetDetails> =>
    run((tx) => repository.details(tx, id));
  const user = async (name: string): Promise<UserId> => {
    const [row] = await run((tx) =>
      tx.query<{ id: UserId }>(
        `INSERT INTO users (name, role) VALUES ($1, 'member') RETURNING id`,
        [name],
      ),
    );
    if (!row) throw new Error('no user');
    return row.id;
  };

  beforeAll(async () => {
    database = await testDatabase();
    unitOfWork = new TypeOrmUnitOfWork(await database.open(), (error) => {
      throw error;
    });
    ada = await user('ada');
    bob = await user('bob');
  });
  afterAll(() => database.drop());

  it('gives back everything that it was told', async () => {
    const dataset = aDataset({
      name: 'Eis 🧊 “Nord”',
      description: "it's\n\\daily",
      metadata: { constructor: 'x', nested: [1, null, { ä: 1e300 }] },
      tags: ['b', 'a', 'b', 'Z'],
      defaultBranch: 'trunk',
    });
    const id = await insert(dataset);
    expect(await details(id)).toMatchObject({
      ...dataset,
      id,
      tags: ['Z', 'a', 'b'],
      createdBy: ada,
      ownerName: 'ada',
      deletedAt: null,
      forgottenAt: null,
      lastVersionNumber: 0,
    });
    expect(await run((tx) => repository.get(tx, id))).toMatchObject({ id, name: dataset.name });
  });

  it('gives a name once per owner among the living, whoever asks at the same moment', async () => {
    const made = await Promise.allSettled(
      Array.from({ length: 10 }, () => insert({ name: 'wanted' })),
    );
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const outcome of made) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(DatasetNameTaken);
    }
    await insert({ name: 'wanted' }, bob);
    await insert({ name: 'Wanted' });
  });

  it('frees the name with the dataset, and refuses to restore onto a name that was taken', async () => {
    const first = await insert({ name: 'phoenix' });
    await run((tx) => repository.softDelete(tx, first));
    await expect(details(first)).rejects.toThrow(NotFound);
    await expect(run((tx) => repository.get(tx, first))).rejects.toThrow(NotFound);
    const second = await insert({ name: 'phoenix' });
    const restore = (): Promise<void> =>
      run(async (tx) =>
        repository.restore(tx, await repository.lock(tx, first, { includeDeleted: true })),
      );
    await expect(restore()).rejects.toThrow(DatasetNameTaken);
    await run((tx) => repository.update(tx, second, { name: 'ashes' }));
    await restore();
    expect((await details(first)).name).toBe('phoenix');
  });

  it('refuses to rename onto a taken name, and passes other errors on as they are', async () => {
    await insert({ name: 'taken' });
    const other = await insert({ name: 'other' });
    await expect(run((tx) => repository.update(tx, other, { name: 'taken' }))).rejects.toThrow(
      DatasetNameTaken,
    );
    await expect(
      run((tx) => repository.update(tx, other, { name: null as unknown as string })),
    ).rejects.toThrow(/null value/);
    expect((await details(other)).name).toBe('other');
  });

  it('never shows two states under one revision, not even within one transaction', async () => {
    const id = await insert({ name: 'revised' });
    const seen = [(await details(id)).updatedMicros];
    await run(async (tx) => {
      for (let times = 0; times < 3; times += 1) {
        await repository.touch(tx, id);
        seen.push((await repository.details(tx, id)).updatedMicros);
      }
      await repository.update(tx, id, { description: 'new' });
      seen.push((await repository.details(tx, id)).updatedMicros);
    });
    expect([...new Set(seen)].sort()).toEqual(seen);
  });

  it('keeps the updated time from going back when an older transaction commits later', async () => {
    const id = await insert({ name: 'overtaken' });
    await run(async (older) => {
      await older.query('SELECT now()');
      const newer = new TypeOrmUnitOfWork(await database.open(), () => undefined);
      await newer.run((tx) => repository.touch(tx, id));
      const before = await repository.details(older, id);
      await repository.touch(older, id);
      const after = await repository.details(older, id);
      expect(Number(after.updatedMicros)).toBeGreaterThan(Number(before.updatedMicros));
    });
  });

  it('adds and removes tags', async () => {
    const id = await insert({ name: 'tagged', tags: ['a'] });
    await run((tx) => repository.addTag(tx, id, 'b'));
    await run((tx) => repository.removeTag(tx, id, 'a'));
    expect((await details(id)).tags).toEqual(['b']);
  });

  it('locks against others, and finds a deleted dataset only when asked to', async () => {
    const id = await insert({ name: 'locked' });
    const other = new TypeOrmUnitOfWork(await database.open(), () => undefined);
    await run(async (tx) => {
      await repository.lock(tx, id);
      const second = other.run(async (waiting) => {
        await waiting.query(`SET LOCAL lock_timeout = '50ms'`);
        return repository.lock(waiting, id);
      });
      await expect(second).rejects.toThrow(/lock timeout/);
    });
    await run((tx) => repository.softDelete(tx, id));
    await expect(run((tx) => repository.lock(tx, id))).rejects.toThrow(NotFound);
    await expect(run((tx) => repository.softDelete(tx, 2_000_000 as DatasetId))).rejects.toThrow(
      NotFound,
    );
  });

  describe('forgetting', () => {
    const begin = (id: DatasetId): Promise<boolean> =>
      run((tx) => repository.beginForgetting(tx, id));
    const deletedBefore = (id: DatasetId, ageMs: number): Promise<unknown> =>
      run((tx) =>
        tx.query(
          `UPDATE datasets SET deleted_at = now() - $2 * interval '1 millisecond' WHERE id = $1`,
          [id, ageMs],
        ),
      );

    it('begins once the retention has passed, and then again and again', async () => {
      const id = await insert({ name: 'old' });
      await deletedBefore(id, 7 * DAY_MS);
      expect(await begin(id)).toBe(true);
      const { forgottenAt } = await run((tx) => repository.lock(tx, id, { includeDeleted: true }));
      expect(forgottenAt).toBeInstanceOf(Date);
      expect(await begin(id)).toBe(true);
      const again = await run((tx) => repository.lock(tx, id, { includeDeleted: true }));
      expect(again.forgottenAt).toEqual(forgottenAt);
    });

    it('leaves a dataset alone that lives, that may still be restored, or that is not there', async () => {
      const id = await insert({ name: 'recent' });
      expect(await begin(id)).toBe(false);
      await deletedBefore(id, 7 * DAY_MS - 60_000);
      expect(await begin(id)).toBe(false);
      const [row] = await run((tx) =>
        tx.query<{ forgotten_at: Date | null }>('SELECT forgotten_at FROM datasets WHERE id = $1', [
          id,
        ]),
      );
      expect(row?.forgotten_at).toBeNull();
      expect(await begin(2_000_000 as DatasetId)).toBe(false);
    });
  });
});
