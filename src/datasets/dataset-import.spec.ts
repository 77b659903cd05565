import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { AccessPolicy } from '../core/contracts/access-policy.js';
import type { ArtifactProducer } from '../core/contracts/artifact-producer.js';
import type { EventBus } from '../core/contracts/event-bus.js';
import type { FileCatalog } from '../core/contracts/file-catalog.js';
import type { StorageBackend } from '../core/contracts/storage-backend.js';
import type { CommitRequest, VersionReader, VersionWriter } from '../core/contracts/versions.js';
import type { EventId, FileId, Sha256, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { InvalidInput } from '../core/problems.js';
import { readConfig } from '../platform/config/config.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import { DatasetImport } from './dataset-import.js';
import { ContentsMissing, DatasetNameTaken } from './dataset.problems.js';
import { DatasetsRepository, type DatasetDetails } from './datasets.repository.js';
import { DatasetsService } from './datasets.service.js';

const digestOf = (text: string): Sha256 =>
  createHash('sha256').update(text).digest('hex') as Sha256;

/** The contents that the server has: file 1 is `c1`, and so on; above 5000 they are somebody else's. */
const STORED = 6000;
const LAST_READABLE = 5000;
const digests = Array.from({ length: STORED }, (_, index) => digestOf(`c${index + 1}`));
const idOf = new Map(digests.map((digest, index) => [digest, (index + 1) as FileId]));

interface Change {
  path: string;
  sha256?: string;
  removed?: true;
  metadata?: object;
}
const put = (path: string, file: number): Change => ({
  path,
  sha256: digests[file - 1] ?? digestOf(`c${file}`),
});

describe('DatasetImport', () => {
  let database: TestDatabase;
  let unitOfWork: TypeOrmUnitOfWork;
  let ada: Principal;
  /** What happened, in order. */
  let commits: CommitRequest[];
  let references: Map<FileId, number>;
  let lockedInOrder: FileId[];
  let failCommitNumber: number;

  const count = async (): Promise<number> => {
    const [row] = await unitOfWork.run((tx) =>
      tx.query<{ count: string }>('SELECT count(*) FROM datasets'),
    );
    return Number(row?.count);
  };

  const importing = (document: string, name?: string): Promise<DatasetDetails> => {
    const repository = new DatasetsRepository(readConfig({}));
    const writer: Pick<VersionWriter, 'initialize' | 'commit'> = {
      initialize: () => Promise.resolve(),
      commit: (_, request) => {
        commits.push(request);
        if (commits.length === failCommitNumber) throw new Error('the disk is full');
        return Promise.resolve({} as never);
      },
    };
    const catalog: Pick<FileCatalog, 'findByDigest' | 'addReferences' | 'releaseReferences'> = {
      findByDigest: (_, wanted) =>
        Promise.resolve(
          new Map(
            wanted.flatMap((sha256) => {
              const fileId = idOf.get(sha256);
              return fileId ? [[sha256, { fileId } as never]] : [];
            }),
          ),
        ),
      addReferences: (_, ids) => {
        lockedInOrder.push(...ids);
        for (const id of ids) references.set(id, (references.get(id) ?? 0) + 1);
        return Promise.resolve();
      },
      releaseReferences: (_, ids) => {
        for (const id of ids) references.set(id, (references.get(id) ?? 0) - 1);
        return Promise.resolve();
      },
    };
    const policy: Pick<AccessPolicy, 'readableFiles'> = {
      readableFiles: (_, __, files) =>
        Promise.resolve(new Set(files.filter((file) => file <= LAST_READABLE))),
    };
    const events: Pick<EventBus, 'publish'> = {
      publish: () => Promise.resolve('event' as EventId),
    };
    const storage: Pick<StorageBackend, 'open'> = {
      open: (key) => {
        expect(key).toBe('staging/document');
        return Promise.resolve(Readable.from([Buffer.from(document)]));
      },
    };
    const service = new DatasetsService(
      unitOfWork,
      events as EventBus,
      policy as AccessPolicy,
      {} as ArtifactProducer,
      {} as VersionReader,
      writer as VersionWriter,
      repository,
    );
    return new DatasetImport(
      unitOfWork,
      storage as StorageBackend,
      catalog as FileCatalog,
      policy as AccessPolicy,
      writer as VersionWriter,
      service,
      repository,
    ).import(ada, 'staging/document', name);
  };

  const aDocument = (changes: object = {}): string =>
    JSON.stringify({
      format: 'varve-dataset/1',
      dataset: {
        name: 'ice',
        description: 'daily',
        metadata: { a: [1] },
        tags: ['x'],
        defaultBranch: 'trunk',
        owner: 'somebody else',
        createdAt: '2020-01-01T00:00:00.000Z',
        colour: 'from a later release',
      },
      ...changes,
    });
  const aHistory = (...overlays: Change[][]): object => ({
    versions: overlays.map((operations, index) => ({
      number: index + 1,
      parent: index || null,
      message: `version ${index + 1}`,
      operations,
    })),
  });

  beforeAll(async () => {
    database = await testDatabase();
    unitOfWork = new TypeOrmUnitOfWork(await database.open(), (error) => {
      throw error;
    });
    const [row] = await unitOfWork.run((tx) =>
      tx.query<{ id: UserId }>(
        `INSERT INTO users (name, role) VALUES ('ada', 'member') RETURNING id`,
      ),
    );
    if (!row) throw new Error('no user');
    ada = { userId: row.id, name: 'ada', role: 'member', keyId: null };
  });
  beforeEach(async () => {
    commits = [];
    references = new Map();
    lockedInOrder = [];
    failCommitNumber = 0;
    await unitOfWork.run((tx) => tx.query('TRUNCATE datasets CASCADE'));
  });
  afterAll(() => database.drop());

  it('makes a dataset of the importer’s own, under the document’s name or another', async () => {
    expect(await importing(aDocument())).toMatchObject({
      name: 'ice',
      description: 'daily',
      metadata: { a: [1] },
      tags: ['x'],
      defaultBranch: 'trunk',
      ownerName: 'ada',
    });
    expect(await importing(aDocument(), 'ice 2')).toMatchObject({ name: 'ice 2' });
    await expect(importing(aDocument())).rejects.toThrow(DatasetNameTaken);
    expect(await count()).toBe(2);
    expect(commits).toEqual([]);
  });

  it('commits each overlay anew, in order, as the importer', async () => {
    const document = aDocument(
      aHistory(
        [put('a', 1), { ...put('b', 2), metadata: { rows: 3 } }],
        [{ path: 'a', removed: true }, put('c', 1)],
      ),
    );
    const { id } = await importing(document);
    const common = { datasetId: id, branch: 'trunk', author: ada.userId };
    expect(commits).toEqual([
      {
        ...common,
        message: 'version 1',
        operations: [
          { op: 'put', path: 'a', fileId: 1, metadata: null },
          { op: 'put', path: 'b', fileId: 2, metadata: { rows: 3 } },
        ],
      },
      {
        ...common,
        message: 'version 2',
        operations: [
          { op: 'remove', path: 'a' },
          { op: 'put', path: 'c', fileId: 1, metadata: null },
        ],
      },
    ]);
  });

  it('holds every file from before the first commit to after the last, locked in order, once each', async () => {
    const many = Array.from({ length: 2500 }, (_, index) => put(`p${index}`, 2500 - index));
    await importing(aDocument(aHistory(many, [put('again', 7)])));
    expect(commits[0]?.operations).toHaveLength(2500);
    expect(lockedInOrder).toEqual(Array.from({ length: 2500 }, (_, index) => index + 1));
    expect([...references.values()].every((held) => held === 0)).toBe(true);
  });

  it('names the contents that are missing or somebody else’s alike, and creates nothing', async () => {
    const missing = [put('a', STORED + 1), put('b', LAST_READABLE + 1)];
    const error: unknown = await importing(
      aDocument(aHistory([put('c', 1), ...missing], [...missing])),
    ).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ContentsMissing);
    expect((error as ContentsMissing).members).toEqual({
      missing: missing.map(({ sha256 }) => sha256),
      missingCount: 2,
    });
    expect(await count()).toBe(0);
    expect(commits).toEqual([]);
  });

  it('names a hundred of very many missing contents', async () => {
    const many = Array.from({ length: 2100 }, (_, index) => put(`p${index}`, STORED + 1 + index));
    const error: unknown = await importing(aDocument(aHistory(many))).catch(
      (thrown: unknown) => thrown,
    );
    expect((error as ContentsMissing).members['missingCount']).toBe(2100);
    expect((error as ContentsMissing).members['missing']).toHaveLength(100);
  });

  it('creates nothing when a commit in the middle fails', async () => {
    failCommitNumber = 2;
    await expect(
      importing(aDocument(aHistory([put('a', 1)], [put('a', 2)], [put('a', 3)]))),
    ).rejects.toThrow('the disk is full');
    expect(commits).toHaveLength(2);
    expect(await count()).toBe(0);
  });

  it.each([
    ['nothing', '', 'format'],
    ['another format', aDocument({ format: 'varve-dataset/2' }), 'format'],
    ['no format', aDocument({ format: undefined }), 'format'],
    ['no dataset', aDocument({ dataset: undefined }), '"dataset"'],
    ['a dataset that is text', aDocument({ dataset: 'ice' }), '"dataset"'],
    ['a dataset without a name', aDocument({ dataset: {} }), 'name'],
    ['tags that are none', aDocument({ dataset: { name: 'a', tags: ['b c'] } }), 'tags'],
    ['broken JSON', aDocument().slice(0, -1), 'JSON'],
    [
      'a history with a fork',
      aDocument({
        versions: [
          { number: 1, operations: [put('a', 1)] },
          { number: 2, parent: 1, operations: [put('a', 2)] },
          { number: 3, parent: 1, operations: [put('a', 3)] },
        ],
      }),
      'Version 3',
    ],
  ])('refuses %s with a reason, and creates nothing', async (_, document, reason) => {
    const error: unknown = await importing(document).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(InvalidInput);
    expect((error as InvalidInput).message).toContain(reason);
    expect(await count()).toBe(0);
  });
});
