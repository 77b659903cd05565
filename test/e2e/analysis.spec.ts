import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { VersionsApi, codeOf } from '../builders/versions-api.js';

interface Job {
  id: string;
  state: string;
  error: string | null;
  result: { fileId: number; committed?: { versionNumber: number } } | null;
}

let server: TestApp;
let api: VersionsApi;
let database: DataSource;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, server.admin);
  database = await new DataSource({ type: 'postgres', url: server.databaseUrl }).initialize();
});
afterAll(async () => {
  await database.destroy();
  await server.close();
});

async function aTable(): Promise<number> {
  const dataset = await api.aDataset();
  const rows = Array.from({ length: 200 }, (_, n) => `${n},${n % 4}`);
  await api.commitFiles(dataset, { 't.csv': `id,g\n${rows.join('\n')}\n` });
  return dataset;
}

async function done(dataset: number, verb: 'samples' | 'analyses', json: unknown): Promise<Job> {
  const { status, body } = await api.call<Job>('POST', `/datasets/${dataset}/${verb}`, { json });
  expect(status).toBe(202);
  return eventually(async () => {
    const job = (await api.call<Job>('GET', `/jobs/${body.id}`)).body;
    return job.state === 'completed' || job.error !== null ? job : null;
  });
}

const contentOf = async (job: Job) =>
  (await api.call<string>('GET', `/files/${job.result?.fileId}/content`)).body;

const eventsOf = async (job: string) =>
  (
    await database.query<{ type: string }[]>(
      `SELECT type FROM events WHERE data->>'jobId' = $1 ORDER BY type`,
      [job],
    )
  ).map(({ type }) => type);

describe('a sample', () => {
  it('is a file of its own, the same for the same seed, and told of', async () => {
    const dataset = await aTable();
    const order = {
      ref: 'main',
      paths: ['t.csv'],
      method: { kind: 'random', rows: 10, seed: 7 },
      format: 'csv',
    };
    const [first, second] = [
      await done(dataset, 'samples', order),
      await done(dataset, 'samples', order),
    ];
    expect(first).toMatchObject({ state: 'completed', result: { method: { seed: 7 } } });
    expect(second.result?.fileId).toBe(first.result?.fileId);
    expect((await contentOf(first)).trim().split('\n')).toHaveLength(11);
    expect(await eventsOf(first.id)).toEqual(['sample.completed', 'sample.created']);
  });

  it('can be committed to a branch, with where it comes from in its metadata', async () => {
    const dataset = await aTable();
    const job = await done(dataset, 'samples', {
      ref: 'main',
      paths: ['t.csv'],
      method: { kind: 'stratified', rows: 20, by: ['g'], seed: 1 },
      commit: { branch: 'main', path: 'samples/t.parquet' },
    });
    expect(job.result?.committed).toMatchObject({ versionNumber: 2 });
    const schema = await api.call(
      'GET',
      `/datasets/${dataset}/refs/main/schema?path=samples/t.parquet`,
    );
    expect(schema.body).toMatchObject({
      format: 'parquet',
      columns: [{ name: 'id' }, { name: 'g' }],
    });
    const files = await api.call('GET', `/datasets/${dataset}/refs/main/files?prefix=samples/`);
    expect(files.body).toMatchObject({
      items: [
        {
          metadata: { sample: { versionNumber: 1, paths: ['t.csv'], kind: 'stratified', seed: 1 } },
        },
      ],
    });
  });

  it('that cannot be made says why', async () => {
    const dataset = await aTable();
    const job = await done(dataset, 'samples', {
      ref: 'main',
      paths: ['t.csv'],
      method: { kind: 'top', rows: 3, column: 'nothing' },
    });
    expect(job.error).toContain('no column "nothing"');
    // It is not tried again: nothing would be otherwise then.
    const ended = await eventually(async () => {
      const { body } = await api.call<Job & { attempts: number }>('GET', `/jobs/${job.id}`);
      return body.state === 'failed' ? body : null;
    });
    expect(ended.attempts).toBe(1);
    await eventually(async () =>
      expect(await eventsOf(job.id)).toEqual(['sample.created', 'sample.failed']),
    );
  });
});

describe('an analysis', () => {
  it.each([
    [{ kind: 'profile', path: 't.csv' }, '"rowCount":200'],
    [{ kind: 'correlation', path: 't.csv' }, '"matrix"'],
    [{ kind: 'quality', path: 't.csv' }, '"duplicateRows":0'],
    [{ kind: 'select', sql: 'SELECT count(*) AS n FROM "t.csv"', format: 'csv' }, 'n\n200\n'],
  ])('%j', async (order, expected) => {
    const dataset = await aTable();
    const job = await done(dataset, 'analyses', { ref: 'main', ...order });
    expect(job).toMatchObject({ state: 'completed' });
    const content = await contentOf(job);
    expect(typeof content === 'string' ? content : JSON.stringify(content)).toContain(expected);
    expect(await eventsOf(job.id)).toEqual(['analysis.completed', 'analysis.created']);
  });

  it('of a table whose types show late is of all its rows', async () => {
    const dataset = await api.aDataset();
    const rows = Array.from({ length: 60_000 }, (_, n) => `${n},1`).join('\n');
    await api.commitFiles(dataset, { 't.csv': `a,b\n${rows}\nx,1\n` });
    const method = { kind: 'top', rows: 1, column: 'a' };
    const job = await done(dataset, 'samples', {
      ref: 'main',
      paths: ['t.csv'],
      method,
      format: 'csv',
    });
    expect(await contentOf(job)).toBe('a,b\nx,1\n');
  });

  it('that fails is told of once', async () => {
    const dataset = await aTable();
    const sql = 'SELECT nothing FROM "t.csv"';
    const job = await done(dataset, 'analyses', { ref: 'main', kind: 'select', sql });
    await eventually(async () =>
      expect(await eventsOf(job.id)).toEqual(['analysis.created', 'analysis.failed']),
    );
  });

  it('of two versions tells which rows differ', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { 't.csv': 'id,v\n1,a\n2,b\n' });
    await api.commitFiles(dataset, { 't.csv': 'id,v\n2,x\n3,c\n' });
    const order = {
      kind: 'diff',
      ref: 'main',
      base: '1',
      path: 't.csv',
      key: ['id'],
      format: 'csv',
    };
    const lines = (await contentOf(await done(dataset, 'analyses', order))).trim().split('\n');
    expect(lines.slice(1).map((line) => line.split(',').slice(0, 2).join(' '))).toEqual([
      '1 removed',
      '2 changed',
      '3 added',
    ]);
  });
});

it.each([
  ['samples', {}],
  ['samples', { ref: 'main', paths: [], method: { kind: 'first', rows: 1 } }],
  ['samples', { ref: 'main', paths: ['t.csv'], method: { kind: 'first', rows: 0 } }],
  ['samples', { ref: 'main', paths: ['t.csv'], method: { kind: 'guess' } }],
  [
    'samples',
    { ref: 'main', paths: ['t.csv'], method: { kind: 'systematic', every: 2, start: 2 } },
  ],
  [
    'samples',
    { ref: 'main', paths: ['t.csv'], method: { kind: 'time-range', column: 'a', from: "1' OR" } },
  ],
  ['analyses', { kind: 'magic', ref: 'main' }],
  ['analyses', { kind: 'select', ref: 'main' }],
] as const)('%s refuses %j', async (verb, json) => {
  const dataset = await aTable();
  const answer = await api.call('POST', `/datasets/${dataset}/${verb}`, { json });
  expect(codeOf(answer)).toBe('400 invalid-input');
});

it('is not for strangers, nor committed where one may not write', async () => {
  const dataset = await aTable();
  const stranger = new VersionsApi(server, await server.user('stranger to analyses'));
  const order = { ref: 'main', paths: ['t.csv'], method: { kind: 'first', rows: 1 } };
  const refused = await stranger.call('POST', `/datasets/${dataset}/samples`, { json: order });
  expect(codeOf(refused)).toBe('404 not-found');
  const own = await stranger.aDataset();
  await stranger.commitFiles(own, { 't.csv': 'a\n1\n' });
  const elsewhere = await stranger.call('POST', `/datasets/${own}/samples`, {
    json: { ...order, commit: { datasetId: dataset, branch: 'main', path: 'x.parquet' } },
  });
  expect(codeOf(elsewhere)).toBe('404 not-found');
});
