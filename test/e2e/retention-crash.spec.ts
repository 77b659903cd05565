import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '../builders/eventually.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';
import {
  PROCESS_TOKEN,
  startServerProcess,
  verifyOutside,
  type ServerProcess,
} from '../server-process.js';

let database: TestDatabase;
let dataDir: string;

beforeAll(async () => {
  database = await testDatabase();
  dataDir = await mkdtemp(path.join(tmpdir(), 'varve-retention-'));
});

afterAll(async () => {
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

const environment = () => ({
  DATABASE_URL: database.url,
  DATA_DIR: dataDir,
  REMOVAL_GRACE: '0s',
  RETENTION_SCHEDULE: '0 0 1 1 *',
});

async function call<T>(
  server: ServerProcess,
  method: string,
  at: string,
  body?: unknown,
): Promise<T> {
  const isForm = body instanceof FormData;
  const answer = await fetch(`${server.url}/api/v1${at}`, {
    method,
    headers: {
      Authorization: `Bearer ${PROCESS_TOKEN}`,
      ...(body !== undefined && !isForm && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: isForm ? body : JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${at}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

async function commit(server: ServerProcess, dataset: number, n: number): Promise<void> {
  const form = new FormData();
  form.set('message', `commit ${n}`);
  form.append('file', new Blob([`${dataset}: shared ${n}`]), 'shared');
  form.append('file', new Blob([`${dataset}: own ${n}`]), `own-${n}`);
  await call(server, 'POST', `/datasets/${dataset}/versions`, form);
}

interface Listed {
  items: { path: string; sha256: string }[];
}

const listing = async (server: ServerProcess, dataset: number, ref: string): Promise<Listed> =>
  call<Listed>(server, 'GET', `/datasets/${dataset}/refs/${ref}/files?limit=1000`);

async function finished(server: ServerProcess, id: string): Promise<Record<string, unknown>> {
  return eventually(async () => {
    const job = await call<{ state: string; result: Record<string, unknown> }>(
      server,
      'GET',
      `/jobs/${id}`,
    );
    return job.state === 'completed' ? job.result : null;
  });
}

async function expectNothingWrong(): Promise<void> {
  const verdict = await verifyOutside('--data-dir', dataDir, '--database-url', database.url);
  expect(verdict).toMatchObject({ code: 0 });
}

describe('a server that is killed while it cuts a history', () => {
  // Counted from the request on: the job's own commits, those of removing, and those of sweeping.
  it.each(
    ['before-commit', 'after-commit'].flatMap((step) =>
      [2, 4, 6].map((nth) => [step, nth] as const),
    ),
  )('%s %i has lost nothing that is kept, and comes to its end afterwards', async (step, nth) => {
    const doomed = await startServerProcess(
      { ...environment(), KILL_AT: `${step}:${nth}` },
      'test/crash/kill-at.mjs',
    );
    const name = `${step} ${nth}`;
    const { id: dataset } = await call<{ id: number }>(doomed, 'POST', '/datasets', { name });
    const other = { name: `noise of ${name}` };
    const { id: noise } = await call<{ id: number }>(doomed, 'POST', '/datasets', other);
    for (let n = 1; n <= 6; n++) await commit(doomed, dataset, n);
    await call(doomed, 'PUT', `/datasets/${dataset}/retention`, { keepLast: 2 });
    const before = [await listing(doomed, dataset, '5'), await listing(doomed, dataset, 'main')];
    await fetch(`${doomed.url}/health/live?kill-me`).catch(() => undefined);
    await call(doomed, 'POST', `/datasets/${dataset}/retention/runs`, {}).catch(() => undefined);
    // The run may come to its end before the n-th commit: others of another dataset make up for it.
    let dead = false;
    void doomed.exited.then(() => (dead = true));
    for (let n = 1; !dead; n++) await commit(doomed, noise, n).catch(() => undefined);
    await expectNothingWrong();

    const next = await startServerProcess(environment());
    expect((await listing(next, dataset, '5')).items).toEqual(before[0]?.items);
    const { id } = await call<{ id: string }>(
      next,
      'POST',
      `/datasets/${dataset}/retention/runs`,
      {},
    );
    await finished(next, id);
    const { id: chain } = await call<{ id: string }>(
      next,
      'POST',
      `/admin/verify?dataset=${dataset}`,
    );
    expect(await finished(next, chain)).toMatchObject({ firstFault: null });
    const head = await listing(next, dataset, 'main');
    const own = head.items.filter(({ path: at }) => at.startsWith('own-'));
    expect(own).toHaveLength(6);
    await next.end('SIGTERM');
    await expectNothingWrong();
  });
});
