import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import { FaultyBackend } from '../../test/builders/storage.js';
import { VersioningFixture } from '../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import { CannotStart } from '../core/cannot-start.js';
import type { DatasetId } from '../core/ids.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { LocalBackend } from '../storage/backend/local/local.backend.js';
import { claimRecords, settleRecord } from './record-claims.js';
import {
  keyOfRecord,
  parseRecordKey,
  type DatasetContent,
  type RecordName,
} from './record-format.js';
import { RecordDamaged, RecordStore } from './record-store.js';
import { RecordWriter } from './record-writer.js';

let database: TestDatabase;
let dataSource: DataSource;
let fixture: VersioningFixture;
let root: string;
let backend: FaultyBackend;
let store: RecordStore;
let writer: RecordWriter;
let origin: string;

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await testDatabase();
  dataSource = await database.open();
  fixture = await VersioningFixture.on(dataSource);
  root = await mkdtemp(path.join(tmpdir(), 'varve-records-'));
  backend = new FaultyBackend(await LocalBackend.open(root));
  store = new RecordStore(backend);
  writer = newWriter();
  [{ id: origin }] = await dataSource.query('SELECT id FROM record_origin');
});

afterAll(async () => {
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

const newWriter = (): RecordWriter =>
  new RecordWriter(fixture.unitOfWork, backend, { RECORDS_INTERVAL: 10 }, new Metrics());

const put = async (dataset: DatasetId, content: string) => {
  const [fileId] = await fixture.files(content);
  return fixture.unitOfWork.run((tx) =>
    fixture.commits.commit(tx, {
      datasetId: dataset,
      branch: 'main',
      author: fixture.user,
      message: content,
      operations: [{ op: 'put', path: 'a', fileId: fileId! }],
    }),
  );
};

async function allNames(): Promise<RecordName[]> {
  const names: RecordName[] = [];
  for await (const name of store.names(origin)) names.push(name);
  return names;
}

/** The newest record of a dataset, and how many there are. */
async function recordOf(id: number): Promise<{ content: DatasetContent; count: number }> {
  const names = (await allNames()).filter((name) => name.kind === 'dataset' && name.id === id);
  const newest = names.reduce((a, b) => (a.sequence > b.sequence ? a : b));
  return { content: await store.read<DatasetContent>(newest), count: names.length };
}

const pending = async (id: number): Promise<number> => {
  const sql = `SELECT FROM record_changes WHERE kind = 'dataset' AND subject_id = $1`;
  return (await dataSource.query<object[]>(sql, [id])).length;
};

/** Lets whoever has claimed a record be late. */
const expireLeases = () =>
  dataSource.query(`UPDATE storage_records SET leased_until = now() - interval '1 second'`);

describe('the record of a dataset', () => {
  it('says what the database does, once for all that changed meanwhile', async () => {
    const dataset = await fixture.aDataset();
    const first = await put(dataset, 'one');
    const second = await put(dataset, 'two');
    await dataSource.query(
      `INSERT INTO dataset_tags VALUES ($1, 'ice'), ($1, 'a "quote" and \u{1f98a}')`,
      [dataset],
    );
    await dataSource.query(
      `INSERT INTO dataset_pointers (dataset_id, pointer_name, dataset_version_id, is_tag)
       VALUES ($1, 'v1', $2, TRUE)`,
      [dataset, first.id],
    );
    await writer.flush();
    const { content, count } = await recordOf(dataset);
    expect(count).toBe(1);
    expect(content).toMatchObject({
      owner: { id: fixture.user },
      lastVersionNumber: 2,
      tags: ['a "quote" and \u{1f98a}', 'ice'],
      tips: [second.digest],
      pointers: [
        { name: 'main', isTag: false, digest: second.digest },
        { name: 'v1', isTag: true, digest: first.digest },
      ],
    });
    expect(await pending(dataset)).toBe(0);
  });

  it('follows every change, and leaves no older one behind', async () => {
    const dataset = await fixture.aDataset();
    await put(dataset, 'one');
    const changes = [
      `UPDATE datasets SET name = 'renamed ' || id WHERE id = $1`,
      `INSERT INTO dataset_tags VALUES ($1, 'x')`,
      `DELETE FROM dataset_tags WHERE dataset_id = $1`,
      `INSERT INTO dataset_checks VALUES ($1, '{}')`,
      `UPDATE dataset_pointers SET is_protected = TRUE WHERE dataset_id = $1`,
      `INSERT INTO dataset_deleted_branches (dataset_id, pointer_name) VALUES ($1, 'gone')`,
      `UPDATE datasets SET deleted_at = now() WHERE id = $1`,
    ];
    for (const sql of changes) {
      await writer.flush();
      expect(await pending(dataset)).toBe(0);
      await dataSource.query(sql, [dataset]);
      expect(await pending(dataset)).toBe(1);
    }
    await writer.flush();
    const { content, count } = await recordOf(dataset);
    expect(count).toBe(1);
    expect(content).toMatchObject({ deletedAt: expect.any(String), tags: [], checks: {} });
    expect(content.deletedBranches).toMatchObject([{ name: 'gone', digest: null }]);
    await dataSource.query('UPDATE datasets SET updated_at = now() WHERE id = $1', [dataset]);
    expect(await pending(dataset)).toBe(0);
  });

  it('is that nothing is left, where nothing is', async () => {
    const dataset = await fixture.aDataset();
    await writer.flush();
    await dataSource.query(
      'UPDATE datasets SET deleted_at = now(), forgotten_at = now() WHERE id = $1',
      [dataset],
    );
    await writer.flush();
    expect((await recordOf(dataset)).content).toEqual({ gone: true });
  });

  it('is never replaced by an older one, however late that is written', async () => {
    const dataset = await fixture.aDataset();
    await put(dataset, 'old');
    const late = (await fixture.unitOfWork.run(claimRecords)).find(
      ({ name }) => name.kind === 'dataset' && name.id === dataset,
    )!;
    await expireLeases();
    const { digest } = await put(dataset, 'new');
    await writer.flush();
    await store.write(late.name, late.content);
    await fixture.unitOfWork.run((tx) => settleRecord(tx, late));
    expect((await recordOf(dataset)).content.tips).toEqual([digest]);
    await put(dataset, 'newer');
    await writer.flush();
    expect(await recordOf(dataset)).toMatchObject({ count: 1 });
  });

  it('is written once by any number of replicas at once', async () => {
    const datasets = await Promise.all(Array.from({ length: 60 }, () => fixture.aDataset()));
    await Promise.all([newWriter(), newWriter(), newWriter()].map((each) => each.flush()));
    for (const dataset of datasets) {
      expect(await pending(dataset)).toBe(0);
      expect((await recordOf(dataset)).count).toBe(1);
    }
    const [{ most }] = await dataSource.query<[{ most: string }]>(
      `SELECT max(sequence) AS most FROM storage_records
       WHERE kind = 'dataset' AND subject_id = ANY($1::integer[])`,
      [datasets],
    );
    expect(most).toBe('1');
  });

  it('stays due while it cannot be written, and others do not wait for it', async () => {
    const [broken, whole] = [await fixture.aDataset(), await fixture.aDataset()];
    backend.faults.finalizeRecord = (key) => {
      if (key.includes(`/${broken}/`)) throw new Error('The storage is away');
    };
    await writer.flush();
    expect(await pending(broken)).toBeGreaterThan(0);
    expect(await pending(whole)).toBe(0);
    backend.faults = {};
    await expireLeases();
    await writer.flush();
    expect(await pending(broken)).toBe(0);
  });

  it('goes past what a later time of this database has written, as after a restored backup', async () => {
    const dataset = await fixture.aDataset();
    await writer.flush();
    const { content } = await recordOf(dataset);
    await store.write({ origin, kind: 'dataset', id: dataset, sequence: 90 }, content);
    const { digest } = await put(dataset, 'after the backup');
    await writer.flush();
    expect(await recordOf(dataset)).toMatchObject({ count: 1, content: { tips: [digest] } });
  });
});

describe('the writer of records', () => {
  it('writes by itself while the server runs, and what is left when it stops', async () => {
    const running = newWriter();
    await running.onModuleInit();
    running.onApplicationBootstrap();
    const dataset = await fixture.aDataset();
    await running.onModuleDestroy();
    expect(await pending(dataset)).toBe(0);
    expect((await recordOf(dataset)).count).toBe(1);
  });

  it('refuses to serve a database whose rebuild has not come to its end', async () => {
    await dataSource.query('INSERT INTO rebuilds (origin) VALUES ($1)', [origin]);
    await expect(newWriter().onModuleInit()).rejects.toThrow(CannotStart);
    await dataSource.query('DELETE FROM rebuilds');
  });

  it('writes a record of each user, without any secret', async () => {
    await writer.flush();
    const users = (await allNames()).filter(({ kind }) => kind === 'user');
    expect(users.map(({ id }) => id)).toEqual([fixture.user]);
    expect(Object.keys(await store.read(users[0]!)).sort()).toEqual([
      'createdAt',
      'disabledAt',
      'name',
      'role',
    ]);
  });
});

describe('a record in the storage', () => {
  it('has a key that says what it is, and other keys say nothing', async () => {
    const name = { origin, kind: 'dataset', id: 12, sequence: 7 } as const;
    expect(parseRecordKey(keyOfRecord(name))).toEqual(name);
    for (const key of ['records/x', 'artifacts/ab/cd/x', `records/${origin}/datasets/0/1.json`]) {
      expect(parseRecordKey(key)).toBeNull();
    }
  });

  it('is refused where it is damaged, or lies under the key of another', async () => {
    const dataset = await fixture.aDataset();
    await writer.flush();
    const name = { origin, kind: 'dataset', id: dataset, sequence: 1 } as const;
    const content = await store.read<DatasetContent>(name);
    const file = path.join(root, keyOfRecord(name));
    for (const text of ['{', '{"$format":"other/1"}', '{"$format":"varve.record/1","id":1}']) {
      await writeFile(file, text);
      await expect(store.read(name)).rejects.toThrow(RecordDamaged);
    }
    await store.write(name, content);
    expect(await store.read(name)).toEqual(content);
  });
});
