import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import type { JobHandler, JobOptions, JobQueue } from '../../core/contracts/job-queue.js';
import type { VersionWriter } from '../../core/contracts/versions.js';
import type { JobId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { TypeOrmUnitOfWork } from '../../platform/database/unit-of-work.js';
import { DatasetRelease } from './dataset-release.js';

let database: TestDatabase;
let dataSource: DataSource;

beforeAll(async () => {
  database = await testDatabase();
  dataSource = await database.open();
});

afterAll(() => database.drop());

describe('a deleted dataset', () => {
  it('is let go by a job of its own once it can no longer be restored', async () => {
    const enqueued: [string, JsonObject, JobOptions | undefined][] = [];
    const handlers = new Map<string, JobHandler>();
    const jobs: JobQueue = {
      async enqueue(_, kind, payload, options) {
        enqueued.push([kind, payload, options]);
        return 'job' as JobId;
      },
      define: (kind, handler) => void handlers.set(kind, handler),
      every: () => undefined,
    };
    const forgotten: number[] = [];
    const versions = { forget: async (dataset: number) => void forgotten.push(dataset) };
    const release = new DatasetRelease(
      jobs,
      new TypeOrmUnitOfWork(dataSource, () => undefined),
      versions as unknown as VersionWriter,
      { DATASET_RETENTION: 1_000 },
    );
    release.onModuleInit();

    const event = { data: { datasetId: 7 } } as DomainEvent<'dataset.deleted'>;
    await release.onDeleted(event);
    await release.onDeleted(event);
    const [first, second] = enqueued;
    expect(first).toEqual([
      'storage.release-dataset',
      { datasetId: 7 },
      { delayMs: 1_000, key: 'dataset-7' },
    ]);
    // Told twice it is one job: the key is the same.
    expect(second).toEqual(first);

    const context = {
      jobId: 'job' as JobId,
      signal: AbortSignal.abort(),
      progress: async () => {},
    };
    await handlers.get('storage.release-dataset')!(first![1], context);
    expect(forgotten).toEqual([7]);
  });
});
