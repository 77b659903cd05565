import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { JOB_QUEUE, type JobQueue } from '../../src/core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { codeOf, VersionsApi } from '../builders/versions-api.js';

let server: TestApp;
let api: VersionsApi;
let database: Client;

beforeAll(async () => {
  server = await startApp({ REMOVAL_GRACE: '200ms', RETENTION_SCHEDULE: '0 0 1 1 *' });
  api = new VersionsApi(server, await server.user('ada'));
  database = new Client(server.databaseUrl);
  await database.connect();
});

afterAll(async () => {
  await database.end();
  await server.close();
});

/** A dataset whose first version alone has a content, and of which one version is to be kept. */
async function aRuledDataset(content: string): Promise<number> {
  const dataset = await api.aDataset();
  await api.commitFiles(dataset, { a: content });
  await api.commitFiles(dataset, { a: `not ${content}` });
  await api.call('PUT', `/datasets/${dataset}/retention`, { json: { keepLast: 1 } });
  return dataset;
}

const isSwept = (dataset: number) =>
  eventually(async () => {
    const { rows } = await database.query<{ swept: boolean }>(
      'SELECT swept_at IS NOT NULL AS swept FROM dataset_removals WHERE dataset_id = $1',
      [dataset],
    );
    return rows.length > 0 && rows.every(({ swept }) => swept) ? true : null;
  });

const references = async (dataset: number): Promise<number> => {
  const { rows } = await database.query(
    `SELECT FROM dataset_version_files e JOIN dataset_versions v ON v.id = e.version_id
     WHERE v.dataset_id = $1`,
    [dataset],
  );
  return rows.length;
};

describe('removed versions', () => {
  it('are swept a grace after they were removed, without anybody asking again', async () => {
    const dataset = await aRuledDataset('swept later');
    const started = await api.call('POST', `/datasets/${dataset}/retention/runs`, { json: {} });
    expect(await api.finishedJob(started)).toMatchObject({ removedVersions: 1 });
    await isSwept(dataset);
    expect(await references(dataset)).toBe(1);
  });

  it('are removed and swept when the schedule comes to their dataset', async () => {
    const datasets = [await aRuledDataset('one'), await aRuledDataset('two')];
    const deleted = await aRuledDataset('three');
    await api.call('DELETE', `/datasets/${deleted}`);
    const jobs = server.app.get<JobQueue>(JOB_QUEUE, { strict: false });
    const unitOfWork = server.app.get<UnitOfWork>(UNIT_OF_WORK, { strict: false });
    await unitOfWork.run((tx) => jobs.enqueue(tx, 'versioning.retention', {}));
    for (const dataset of datasets) {
      await isSwept(dataset);
      expect(codeOf(await api.call('GET', `/datasets/${dataset}/refs/1`))).toBe(
        '410 version-removed',
      );
      expect(await api.text(dataset, 'main', 'a')).toMatch(/^not /);
    }
    expect(await references(deleted)).toBe(2);
  });
});
