import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { AccessPolicy } from '../core/contracts/access-policy.js';
import type { Artifact, ArtifactProducer } from '../core/contracts/artifact-producer.js';
import type { EventBus } from '../core/contracts/event-bus.js';
import type { StagedPart } from '../core/contracts/staged-upload.js';
import type { CommitRequest, VersionReader, VersionWriter } from '../core/contracts/versions.js';
import type { DatasetId, EventId, FileId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { InvalidInput, NotFound } from '../core/problems.js';
import { readConfig } from '../platform/config/config.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import {
  DatasetChanged,
  DatasetForgotten,
  DatasetNameTaken,
  TooManyTags,
} from './dataset.problems.js';
import { DatasetsRepository, type NewDataset } from './datasets.repository.js';
import { DatasetsService } from './datasets.service.js';
import { etagOf } from './etag.js';

const aDataset = (changes: Partial<NewDataset> = {}): NewDataset => ({
  name: 'ice',
  description: '',
  metadata: {},
  tags: [],
  defaultBranch: 'main',
  ...changes,
});
const aPart = (name: string | null): StagedPart => ({
  field: 'files',
  name,
  artifact: {} as never,
});

describe('DatasetsService', () => {
  let database: TestDatabase;
  let unitOfWork: TypeOrmUnitOfWork;
  let datasets: DatasetsService;
  let ada: Principal;
  let bob: Principal;
  /** What has been told and committed, in order. */
  let told: string[];
  let commits: CommitRequest[];

  const user = async (name: string): Promise<Principal> => {
    const [row] = await unitOfWork.run((tx) =>
      tx.query<{ id: UserId }>(
        `INSERT INTO users (name, role) VALUES ($1, 'member') RETURNING id`,
        [name],
      ),
    );
    if (!row) throw new Error('no user');
    return { userId: row.id, name, role: 'member', keyId: null };
  };

  beforeAll(async () => {
    database = await testDatabase();
    unitOfWork = new TypeOrmUnitOfWork(await database.open(), (error) => {
      throw error;
    });
    const events: Pick<EventBus, 'publish'> = {
      publish: (tx, type, subject, body) => {
        tx.afterCommit(() => told.push(`${type} ${JSON.stringify(body)}`));
        expect(subject).toBe(`dataset/${(body as { datasetId: number }).datasetId}`);
        return Promise.resolve('event' as EventId);
      },
    };
    const policy: Pick<AccessPolicy, 'readableDatasets'> = {
      readableDatasets: ({ userId }, alias, firstParameter) => ({
        sql: `${alias}.created_by = $${firstParameter}`,
        parameters: [userId],
      }),
    };
    const producer: Pick<ArtifactProducer, 'register'> = {
      register: (_, staged) =>
        Promise.resolve(staged.map((__, index) => ({ fileId: (index + 1) as FileId }) as Artifact)),
    };
    const writer: Pick<VersionWriter, 'initialize' | 'commit'> = {
      initialize: (tx, dataset, branch) => {
        tx.afterCommit(() => told.push(`initialized ${dataset} ${branch}`));
        return Promise.resolve();
      },
      commit: (_, request) => {
        commits.push(request);
        return Promise.resolve({} as never);
      },
    };
    datasets = new DatasetsService(
      unitOfWork,
      events as EventBus,
      policy as AccessPolicy,
      producer as ArtifactProducer,
      {} as VersionReader,
      writer as VersionWriter,
      new DatasetsRepository(readConfig({})),
    );
    ada = await user('ada');
    bob = await user('bob');
  });
  beforeEach(async () => {
    await unitOfWork.run((tx) => tx.query('TRUNCATE datasets CASCADE'));
    told = [];
    commits = [];
  });
  afterAll(() => database.drop());

  const create = async (changes: Partial<NewDataset> = {}): Promise<DatasetId> => {
    const { id } = await datasets.create(ada, aDataset(changes));
    told = [];
    return id;
  };

  it('creates a dataset that can take commits, and tells of it once', async () => {
    const { id } = await datasets.create(ada, aDataset({ defaultBranch: 'trunk' }));
    expect(told).toEqual([
      `dataset.created {"datasetId":${id},"name":"ice","createdBy":${ada.userId}}`,
      `initialized ${id} trunk`,
    ]);
    expect(commits).toEqual([]);
    await expect(datasets.create(ada, aDataset())).rejects.toThrow(DatasetNameTaken);
    expect(told).toHaveLength(2);
  });

  it('commits first files as version 1, or creates nothing', async () => {
    const files = { parts: [aPart('a.csv'), aPart('b/c.csv')], message: '' };
    const { id } = await datasets.create(ada, aDataset(), files);
    expect(commits).toEqual([
      {
        datasetId: id,
        branch: 'main',
        author: ada.userId,
        message: 'First files',
        operations: [
          { op: 'put', path: 'a.csv', fileId: 1 },
          { op: 'put', path: 'b/c.csv', fileId: 2 },
        ],
        expectedParent: null,
      },
    ]);
    const nameless = { parts: [aPart(null)], message: 'mine' };
    await expect(datasets.create(ada, aDataset({ name: 'other' }), nameless)).rejects.toThrow(
      InvalidInput,
    );
    await expect(datasets.getByName(ada, 'other', 'ada')).rejects.toThrow(NotFound);
  });

  it('finds by name only what the caller may read', async () => {
    const id = await create();
    for (const owner of ['ada', String(ada.userId), ada.userId]) {
      expect((await datasets.getByName(ada, 'ice', owner)).id).toBe(id);
    }
    await expect(datasets.getByName(bob, 'ice', 'ada')).rejects.toThrow(NotFound);
    await expect(datasets.getByName(ada, 'ice', 'bob')).rejects.toThrow(NotFound);
    await expect(datasets.getByName(ada, 'Ice', 'ada')).rejects.toThrow(NotFound);
  });

  it('changes what is asked for, and tells exactly what changed', async () => {
    const id = await create({ metadata: { a: { b: 1 } } });
    const changed = await datasets.change(
      id,
      { name: 'ice', description: 'new', metadata: { a: { b: 2 } } },
      null,
    );
    expect(changed).toMatchObject({ description: 'new', metadata: { a: { b: 2 } } });
    expect(told).toEqual([
      `dataset.updated {"datasetId":${id},"changed":["description","metadata"]}`,
    ]);
  });

  it('leaves everything as it is, ETag included, where nothing would change', async () => {
    const id = await create({ metadata: { a: 1 } });
    const before = await datasets.get(id);
    expect(await datasets.change(id, { metadata: { a: 1 } }, null)).toEqual(before);
    expect(await datasets.change(id, {}, null)).toEqual(before);
    expect(told).toEqual([]);
  });

  it('lets one of many changes through that build on the same state', async () => {
    const id = await create();
    const read = [etagOf(await datasets.get(id))];
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        datasets.change(id, { description: `by ${index}` }, read),
      ),
    );
    const won = outcomes.filter(({ status }) => status === 'fulfilled');
    const reasons = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    expect(won).toHaveLength(1);
    for (const reason of reasons) expect(reason).toBeInstanceOf(DatasetChanged);
    expect(told).toHaveLength(1);
    await expect(datasets.remove(id, read)).rejects.toThrow(DatasetChanged);
    await datasets.remove(id, [etagOf(await datasets.get(id))]);
  });

  it('deletes once, restores to the same, and restoring what lives does nothing', async () => {
    const id = await create({ tags: ['x'] });
    await datasets.remove(id, null);
    await expect(datasets.remove(id, null)).rejects.toThrow(NotFound);
    await expect(datasets.get(id)).rejects.toThrow(NotFound);
    expect(await datasets.restore(id)).toMatchObject({ id, name: 'ice', tags: ['x'] });
    expect(await datasets.restore(id)).toMatchObject({ id, deletedAt: null });
    expect(told.map((event) => event.split(' ')[0])).toEqual([
      'dataset.deleted',
      'dataset.restored',
    ]);
  });

  it('refuses to restore what has been forgotten, or whose name has been taken', async () => {
    const id = await create();
    await datasets.remove(id, null);
    await datasets.create(ada, aDataset());
    await expect(datasets.restore(id)).rejects.toThrow(DatasetNameTaken);
    await unitOfWork.run((tx) =>
      tx.query('UPDATE datasets SET forgotten_at = now() WHERE id = $1', [id]),
    );
    await expect(datasets.restore(id)).rejects.toThrow(DatasetForgotten);
  });

  it('adds and removes a tag once, however often it is asked', async () => {
    const id = await create();
    await datasets.addTag(id, 'x');
    const { tags, updatedMicros } = await datasets.addTag(id, 'x');
    expect(tags).toEqual(['x']);
    expect((await datasets.get(id)).updatedMicros).toBe(updatedMicros);
    await datasets.removeTag(id, 'x');
    expect((await datasets.removeTag(id, 'x')).tags).toEqual([]);
    expect(told).toHaveLength(2);
  });

  it('keeps to the limit of tags when many are added at once', async () => {
    const id = await create({ tags: Array.from({ length: 45 }, (_, index) => `t${index}`) });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => datasets.addTag(id, `new-${index}`)),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(TooManyTags);
    }
    expect((await datasets.get(id)).tags).toHaveLength(50);
  });
});
