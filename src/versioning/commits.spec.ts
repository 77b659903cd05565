import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { VersioningFixture } from '../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import { FileMissing } from '../core/contracts/file-catalog.js';
import {
  NothingChanged,
  PathExists,
  PathMissing,
  RefMoved,
  type CommitRequest,
  type VersionOperation,
} from '../core/contracts/versions.js';
import type { DatasetId, FileId, UserId } from '../core/ids.js';
import { InvalidInput, NotFound } from '../core/problems.js';
import { readPosition } from './position.js';
import { NotABranch, PointerExists } from './versioning.problems.js';

let database: TestDatabase;
let fixture: VersioningFixture;
let a: FileId;
let b: FileId;

beforeAll(async () => {
  database = await testDatabase();
  fixture = await VersioningFixture.on(await database.open());
  [a, b] = (await fixture.files('aaa', 'bbbbb')) as [FileId, FileId];
});

afterAll(async () => {
  await database.drop();
});

const put = (path: string, fileId: FileId): VersionOperation => ({ op: 'put', path, fileId });

function commit(datasetId: DatasetId, request: Partial<CommitRequest> = {}) {
  return fixture.unitOfWork.run((tx) =>
    fixture.commits.commit(tx, {
      datasetId,
      branch: 'main',
      author: fixture.user,
      message: 'a message',
      operations: [put('a', a)],
      ...request,
    }),
  );
}

/** What the database says of a dataset; equal before and after what must change nothing. */
async function state(dataset: DatasetId): Promise<unknown> {
  return fixture.dataSource.query(
    `SELECT (SELECT last_version_number FROM datasets WHERE id = $1),
       (SELECT json_agg(p ORDER BY id) FROM dataset_pointers p WHERE dataset_id = $1) AS pointers,
       (SELECT json_agg(v ORDER BY id) FROM dataset_versions v WHERE dataset_id = $1) AS versions,
       (SELECT json_agg(l ORDER BY id) FROM dataset_lineages l WHERE dataset_id = $1) AS lineages,
       (SELECT json_agg(f ORDER BY id) FROM files f) AS files`,
    [dataset],
  );
}

async function recountedWrong(): Promise<unknown[]> {
  return fixture.dataSource.query(
    `SELECT f.id FROM files f LEFT JOIN (
       SELECT file_id, count(*) FROM (
         SELECT file_id FROM dataset_version_files WHERE file_id IS NOT NULL
         UNION ALL SELECT overlay_file_id FROM dataset_versions WHERE overlay_file_id IS NOT NULL
       ) r GROUP BY 1
     ) c ON c.file_id = f.id WHERE f.reference_count <> coalesce(c.count, 0)`,
  );
}

describe('committing', () => {
  it('numbers versions from 1, keeps totals, and tells of each', async () => {
    const dataset = await fixture.aDataset();
    const first = await commit(dataset, { operations: [put('x', a), put('y/z', b)] });
    expect(first).toMatchObject({
      versionNumber: 1,
      parentId: null,
      fileCount: 2,
      totalSizeBytes: 8,
      message: 'a message',
      createdBy: fixture.user,
    });
    const second = await commit(dataset, {
      operations: [
        { op: 'move', from: 'x', path: 'w' },
        { op: 'remove', path: 'y/z' },
        put('v', a),
      ],
      expectedParent: first.id,
    });
    expect(second).toMatchObject({
      versionNumber: 2,
      parentId: first.id,
      fileCount: 2,
      totalSizeBytes: 6,
    });
    expect(fixture.events.published.at(-1)).toMatchObject({
      type: 'dataset.version.created',
      subject: `dataset/${dataset}`,
      data: {
        datasetId: dataset,
        versionId: second.id,
        versionNumber: 2,
        digest: second.digest,
        branch: 'main',
      },
    });
    expect(await recountedWrong()).toEqual([]);
  });

  it('stores an overlay document whose SHA-256 is the digest, with the parent’s inside', async () => {
    const dataset = await fixture.aDataset();
    const first = await commit(dataset, { operations: [put('é', a), put('x', b)] });
    const second = await commit(dataset, { operations: [{ op: 'remove', path: 'x' }] });
    const text = fixture.storage.contents.get(second.digest)!;
    expect(createHash('sha256').update(text).digest('hex')).toBe(second.digest);
    const document = JSON.parse(text.toString()) as Record<string, unknown>;
    expect(document).toMatchObject({
      $format: 'varve.version/1',
      parents: [first.digest],
      author: { id: fixture.user },
      branch: 'main',
      number: 2,
      time: second.committedAt.toISOString(),
      entries: [{ path: 'x', removed: true }],
      fileCount: 1,
      totalSizeBytes: 3,
    });
    const before = JSON.parse(fixture.storage.contents.get(first.digest)!.toString()) as {
      entries: { path: string }[];
    };
    expect(before.entries.map(({ path }) => path)).toEqual(['x', 'é']);
  });

  it('leaves out of the overlay what is there already', async () => {
    const dataset = await fixture.aDataset();
    await commit(dataset, { operations: [put('x', a), put('y', b)] });
    const { id } = await commit(dataset, { operations: [put('x', a), put('y', a)] });
    const rows = await fixture.dataSource.query<unknown[]>(
      'SELECT component_name FROM dataset_version_files WHERE version_id = $1',
      [id],
    );
    expect(rows).toEqual([{ component_name: 'y' }]);
  });

  it('lets exactly one of 50 commits from one parent win; nothing of the others stays', async () => {
    const dataset = await fixture.aDataset();
    const parent = await commit(dataset);
    const files = await fixture.files(...Array.from({ length: 50 }, (_, i) => `rival ${i}`));
    const outcomes = await Promise.allSettled(
      files.map((file) =>
        commit(dataset, { operations: [put('b', file)], expectedParent: parent.id }),
      ),
    );
    const won = outcomes.filter(({ status }) => status === 'fulfilled');
    const lost = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    expect(won).toHaveLength(1);
    expect(lost).toHaveLength(49);
    const { value: winner } = won[0] as PromiseFulfilledResult<{ digest: string }>;
    for (const error of lost) {
      expect(error).toBeInstanceOf(RefMoved);
      expect((error as RefMoved).members).toEqual({
        ref: 'main',
        expected: parent.digest,
        actual: winner.digest,
      });
    }
    const versions = await fixture.dataSource.query<unknown[]>(
      'SELECT version_number FROM dataset_versions WHERE dataset_id = $1 ORDER BY 1',
      [dataset],
    );
    expect(versions).toEqual([{ version_number: 1 }, { version_number: 2 }]);
    expect(await recountedWrong()).toEqual([]);
  });

  it('puts commits that expect nothing one after the other', async () => {
    const dataset = await fixture.aDataset();
    const numbers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        commit(dataset, { operations: [put(`file ${i}`, a)] }).then((v) => v.versionNumber),
      ),
    );
    expect(numbers.sort((x, y) => x - y)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    const head = await fixture.unitOfWork.read((tx) => fixture.refs.resolve(tx, dataset, 'main'));
    expect(head.fileCount).toBe(12);
  });

  it('commits an empty branch only for who expects it to be empty', async () => {
    const dataset = await fixture.aDataset();
    const first = await commit(dataset, { expectedParent: null });
    expect(first.versionNumber).toBe(1);
    await expect(
      commit(dataset, { operations: [put('q', a)], expectedParent: null }),
    ).rejects.toThrow(RefMoved);
  });

  it('refuses what cannot be done, and changes nothing', async () => {
    const dataset = await fixture.aDataset();
    const first = await commit(dataset);
    await fixture.unitOfWork.run((tx) => fixture.commits.tag(tx, first, 'v1'));
    const before = await state(dataset);
    const refused: [Partial<CommitRequest>, new (...args: never[]) => Error][] = [
      [{ operations: [] }, InvalidInput],
      [{ operations: [put('../x', a)] }, InvalidInput],
      [{ operations: [{ op: 'move', from: '/a', path: 'b' }] }, InvalidInput],
      [{ operations: [{ op: 'remove', path: 'nowhere' }] }, PathMissing],
      [{ operations: [{ op: 'move', from: 'nowhere', path: 'b' }] }, PathMissing],
      [{ operations: [put('b', b), { op: 'move', from: 'a', path: 'b' }] }, PathExists],
      [{ operations: [put('a', a)] }, NothingChanged],
      [{ operations: [put('c', 999_999 as FileId)] }, FileMissing],
      [{ branch: 'other', operations: [put('c', a)] }, NotFound],
      [{ branch: 'v1', operations: [put('c', a)] }, NotABranch],
      [{ branch: '12', operations: [put('c', a)] }, InvalidInput],
      [{ author: 999_999 as UserId, operations: [put('c', a)] }, NotFound],
    ];
    for (const [request, error] of refused) {
      await expect(commit(dataset, request)).rejects.toThrow(error);
    }
    await expect(
      fixture.unitOfWork.run((tx) => fixture.commits.tag(tx, first, 'main')),
    ).rejects.toThrow(PointerExists);
    await expect(commit(999_999 as DatasetId)).rejects.toThrow(NotFound);
    expect(await state(dataset)).toEqual(before);
  });

  it('refuses a deleted dataset', async () => {
    const dataset = await fixture.aDataset();
    await fixture.dataSource.query('UPDATE datasets SET deleted_at = now() WHERE id = $1', [
      dataset,
    ]);
    await expect(commit(dataset)).rejects.toThrow(NotFound);
  });

  it('rolls back with the transaction that it joins', async () => {
    const dataset = await fixture.aDataset();
    const before = await state(dataset);
    await expect(
      fixture.unitOfWork.run(async () => {
        await commit(dataset);
        throw new Error('later');
      }),
    ).rejects.toThrow('later');
    expect(await state(dataset)).toEqual(before);
  });

  it('takes tens of thousands of paths in one commit', async () => {
    const dataset = await fixture.aDataset();
    const operations = Array.from({ length: 30_000 }, (_, i) =>
      put(`directory ${i % 100}/file ${i}`, i % 2 ? a : b),
    );
    const version = await commit(dataset, { operations });
    expect(version).toMatchObject({ fileCount: 30_000, totalSizeBytes: 120_000 });
    const next = await commit(dataset, {
      operations: operations.slice(0, 29_990).map(({ path }) => ({ op: 'remove', path })),
    });
    expect(next).toMatchObject({ fileCount: 10, totalSizeBytes: 40 });
    const left = await fixture.unitOfWork.read(async (tx) =>
      fixture.tree.entries(tx, await readPosition(tx, next.id), { limit: 100 }),
    );
    expect(left).toHaveLength(10);
  });
});
