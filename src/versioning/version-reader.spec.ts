import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { VersioningFixture } from '../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { VersionOperation, VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, FileId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { VersionLog } from './version-log.js';
import { SqlVersionReader } from './version-reader.js';
import { SqlVersionWriter } from './version-writer.js';

let database: TestDatabase;
let fixture: VersioningFixture;
let reader: SqlVersionReader;
let writer: SqlVersionWriter;
let files: FileId[];
const log = new VersionLog();

beforeAll(async () => {
  database = await testDatabase();
  fixture = await VersioningFixture.on(await database.open());
  reader = new SqlVersionReader(fixture.refs, fixture.tree);
  writer = new SqlVersionWriter(
    fixture.commits,
    fixture.unitOfWork,
    fixture.storage,
    fixture.datasets,
  );
  files = await fixture.files('a', 'bb', 'ccc');
});

afterAll(async () => {
  await database.drop();
});

const put = (path: string, fileId: FileId): VersionOperation => ({ op: 'put', path, fileId });

async function committed(
  dataset: DatasetId,
  ...commits: VersionOperation[][]
): Promise<VersionRecord[]> {
  const versions: VersionRecord[] = [];
  for (const [index, operations] of commits.entries()) {
    versions.push(
      await fixture.unitOfWork.run((tx) =>
        writer.commit(tx, {
          datasetId: dataset,
          branch: 'main',
          author: fixture.user,
          message: `commit ${index + 1}`,
          operations,
        }),
      ),
    );
  }
  return versions;
}

const read = <T>(work: Parameters<typeof fixture.unitOfWork.read<T>>[0]) =>
  fixture.unitOfWork.read(work);

describe('reading versions', () => {
  it('resolves branches, tags, numbers, digests and generations of this dataset only', async () => {
    const dataset = await fixture.aDataset();
    const other = await fixture.aDataset();
    const [first, second] = (await committed(
      dataset,
      [put('x', files[0]!)],
      [put('x', files[1]!)],
    )) as [VersionRecord, VersionRecord];
    await fixture.unitOfWork.run((tx) => fixture.commits.tag(tx, first, 'v1'));
    for (const [ref, expected] of [
      ['main', second],
      ['v1', first],
      ['1', first],
      ['2', second],
      [first.digest, first],
      ['main~1', first],
      ['main~0', second],
      ['2~', first],
    ] as const) {
      expect(await read((tx) => reader.resolve(tx, dataset, ref))).toEqual(expected);
    }
    for (const ref of ['main~2', '3', '1~1', 'v1~5', 'nowhere', 'ab'.repeat(32), 'draft:1']) {
      await expect(read((tx) => reader.resolve(tx, dataset, ref))).rejects.toThrow(NotFound);
    }
    for (const ref of ['main', '1', first.digest]) {
      await expect(read((tx) => reader.resolve(tx, other, ref))).rejects.toThrow(NotFound);
    }
    expect(await read((tx) => reader.head(tx, other, 'main'))).toBeNull();
    expect(await read((tx) => reader.list(tx, dataset, { limit: 1 }))).toEqual([first]);
    expect(await read((tx) => reader.list(tx, dataset, { after: 1, limit: 9 }))).toEqual([second]);
  });

  it('gives entries, one entry, and what a version changed', async () => {
    const dataset = await fixture.aDataset();
    const [, second] = (await committed(
      dataset,
      [put('x', files[0]!), put('y', files[1]!)],
      [
        { op: 'remove', path: 'y' },
        { op: 'put', path: 'z', fileId: files[2]!, metadata: { unit: 'm' } },
      ],
    )) as [VersionRecord, VersionRecord];
    const entries = await read((tx) => reader.entries(tx, second.id, { limit: 10 }));
    expect(entries.map(({ path, sizeBytes, metadata }) => [path, sizeBytes, metadata])).toEqual([
      ['x', 1, null],
      ['z', 3, { unit: 'm' }],
    ]);
    expect(await read((tx) => reader.entries(tx, second.id, { after: 'x', limit: 10 }))).toEqual([
      entries[1],
    ]);
    expect(await read((tx) => reader.entry(tx, second.id, 'z'))).toEqual(entries[1]);
    expect(await read((tx) => reader.entry(tx, second.id, 'y'))).toBeNull();
    expect(await read((tx) => reader.overlay(tx, second.id, { limit: 10 }))).toEqual([
      { path: 'y', entry: null },
      { path: 'z', entry: entries[1] },
    ]);
    expect(await read((tx) => reader.overlay(tx, second.id, { after: 'y', limit: 10 }))).toEqual([
      { path: 'z', entry: entries[1] },
    ]);
  });

  it('counts what a version holds, and what a dataset holds at its head', async () => {
    const dataset = await fixture.aDataset();
    const empty = await read((tx) => reader.statistics(tx, dataset, null));
    expect(empty).toEqual({
      totalFiles: 0,
      totalSizeBytes: 0,
      fileTypes: {},
      versionCount: 0,
      lastModified: null,
      uniqueContentHashes: 0,
    });
    const [first, second] = (await committed(
      dataset,
      [put('x', files[0]!), put('y', files[0]!), put('z', files[1]!)],
      [{ op: 'remove', path: 'z' }],
    )) as [VersionRecord, VersionRecord];
    expect(await read((tx) => reader.statistics(tx, dataset, null))).toEqual({
      totalFiles: 2,
      totalSizeBytes: 2,
      fileTypes: { txt: 2 },
      versionCount: 2,
      lastModified: second.committedAt,
      uniqueContentHashes: 1,
    });
    expect(await read((tx) => reader.statistics(tx, dataset, '1'))).toEqual({
      totalFiles: 3,
      totalSizeBytes: 4,
      fileTypes: { txt: 3 },
      versionCount: 2,
      lastModified: first.committedAt,
      uniqueContentHashes: 2,
    });
  });

  it('tells the history: of a dataset, of a ref, and of a path', async () => {
    const dataset = await fixture.aDataset();
    const versions = await committed(
      dataset,
      ...Array.from({ length: 150 }, (_, i) => [
        put(i % 3 ? 'often' : 'seldom', files[(i >> 1) % 3]!),
        put(`${i}`, files[0]!),
      ]),
    );
    const newestFirst = versions.toReversed();
    const head = versions.at(-1)!;
    expect(await read((tx) => log.all(tx, dataset, { below: null, limit: 2 }))).toEqual(
      newestFirst.slice(0, 2),
    );
    expect(await read((tx) => log.all(tx, dataset, { below: 3, limit: 9 }))).toEqual(
      newestFirst.slice(-2),
    );
    const walked: VersionRecord[] = [];
    for (let heads = [head.versionNumber]; heads.length > 0;) {
      const page = await read((tx) => log.ancestry(tx, dataset, heads, 40));
      walked.push(...page.versions);
      heads = page.frontier;
    }
    expect(walked).toEqual(newestFirst);
    const changed: number[] = [];
    for (const { id, versionNumber } of newestFirst) {
      const overlay = await read((tx) => reader.overlay(tx, id, { limit: 9 }));
      if (overlay.some(({ path }) => path === 'seldom')) changed.push(versionNumber);
    }
    const ofPath = await read((tx) =>
      log.ofPath(tx, head.id, 'seldom', { below: null, limit: 999 }),
    );
    expect(ofPath.map(({ versionNumber }) => versionNumber)).toEqual(changed);
    expect(
      await read((tx) => log.ofPath(tx, versions[9]!.id, 'seldom', { below: 8, limit: 1 })),
    ).toHaveLength(1);
    expect(await read((tx) => log.ofPath(tx, head.id, 'never', { below: null, limit: 9 }))).toEqual(
      [],
    );
  });
});

describe('forgetting a dataset', () => {
  it('lets everything go once it may, and not before', async () => {
    const dataset = await fixture.unitOfWork.run(async (tx) => {
      const [row] = await tx.query<{ id: DatasetId }>(
        `INSERT INTO datasets (name, created_by) VALUES ('forgotten', $1) RETURNING id`,
        [fixture.user],
      );
      await writer.initialize(tx, row!.id, 'main');
      return row!.id;
    });
    const [kept] = (await fixture.files('only here')) as [FileId];
    const names = Array.from({ length: 600 }, (_, i) => `file ${i}`);
    await committed(
      dataset,
      names.map((name) => put(name, kept)),
      names.slice(0, 599).map((path) => ({ op: 'remove', path })),
      [put('last', files[0]!)],
    );
    const left = async () => {
      const [row] = await fixture.dataSource.query<{ rows: number; references: string }[]>(
        `SELECT (SELECT count(*) FROM dataset_versions WHERE dataset_id = $1)
           + (SELECT count(*) FROM dataset_lineages WHERE dataset_id = $1)
           + (SELECT count(*) FROM dataset_pointers WHERE dataset_id = $1) AS rows,
           (SELECT reference_count FROM files WHERE id = $2) AS references`,
        [dataset, kept],
      );
      return [Number(row!.rows), Number(row!.references)];
    };
    await writer.forget(dataset);
    expect((await left())[1]).toBe(600);
    await fixture.dataSource.query('UPDATE datasets SET deleted_at = now() WHERE id = $1', [
      dataset,
    ]);
    await writer.forget(dataset);
    expect(await left()).toEqual([0, 0]);
    const orphans = await fixture.dataSource.query<unknown[]>(
      `SELECT 1 FROM dataset_lineage_files e
       WHERE NOT EXISTS (SELECT FROM dataset_lineages l WHERE l.id = e.lineage_id)
       UNION ALL SELECT 1 FROM dataset_version_files e
       WHERE NOT EXISTS (SELECT FROM dataset_versions v WHERE v.id = e.version_id)`,
    );
    expect(orphans).toEqual([]);
    await writer.forget(dataset);
  });
});
