import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { eventually } from '../../../test/builders/eventually.js';
import { TableFolder, expectProblem } from '../../../test/builders/tables.js';
import type { TableSource } from '../engine/source.js';
import { WorkerPool, type PoolOptions } from './worker-pool.js';

let folder: TableFolder;
const pools: WorkerPool[] = [];

beforeAll(async () => {
  folder = await TableFolder.make();
});
afterEach(() => Promise.all(pools.splice(0).map((pool) => pool.close())));
afterAll(() => folder.remove());

function pool(options: Partial<PoolOptions> = {}): WorkerPool {
  const made = new WorkerPool({
    size: 1,
    queue: 4,
    timeoutMs: 120_000,
    memoryBytes: 512 * 1024 * 1024,
    threads: 1,
    scratchBytes: 256 * 1024 * 1024,
    scratchDir: `${folder.directory}/workers`,
    ...options,
  });
  pools.push(made);
  return made;
}

const small = () => folder.source('small.csv', 'a,b\n1,2\n');
/** A list whose depth shows only where the engine meets it. */
const deadly = () =>
  folder.source('deadly.json', `[${'{"a":1},'.repeat(100_000)}${'['.repeat(200_000)}`);

const describeIn = (workers: WorkerPool, source: TableSource, signal?: AbortSignal) =>
  workers.ask('describe', { source, full: true }, signal);

describe('a pool of workers', () => {
  it('does what it is asked, one after the other', async () => {
    const workers = pool();
    const source = await small();
    const answers = await Promise.all([1, 2, 3].map(() => describeIn(workers, source)));
    expect(answers.map((answer) => answer?.rowCount)).toEqual([1, 1, 1]);
  });

  it('outlives a worker that a file has ended, and names the file’s problem', async () => {
    const workers = pool();
    const [died, lived] = await Promise.allSettled([
      describeIn(workers, await deadly()),
      describeIn(workers, await small()),
    ]);
    expect(died).toMatchObject({ status: 'rejected', reason: { name: 'TableProblem' } });
    expect(lived).toMatchObject({ status: 'fulfilled', value: { rowCount: 1 } });
  });

  it('ends what takes too long', async () => {
    await expectProblem(describeIn(pool({ timeoutMs: 1 }), await small()), 'too-slow');
  });

  it('ends what takes too much memory', async () => {
    const workers = pool({ memoryBytes: 32 * 1024 * 1024 });
    const source = await folder.source('large.csv', `a,b\n${'1,2\n'.repeat(3_000_000)}`);
    const failed = await describeIn(workers, source).catch((error: unknown) => error);
    expect(failed).toMatchObject({ name: 'TableProblem' });
  });

  it('ends what nobody waits for any more', async () => {
    const workers = pool();
    const leaving = new AbortController();
    const asked = describeIn(workers, await small(), leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(asked).rejects.toThrow('gone');
    expect((await describeIn(workers, await small()))?.rowCount).toBe(1);
  });

  it('says when a file is gone', async () => {
    const missing = { ...(await small()), path: `${folder.directory}/missing.csv` };
    await expect(describeIn(pool(), missing)).rejects.toMatchObject({ name: 'SourceGone' });
  });

  it('turns away what it has no room for', async () => {
    const workers = pool({ queue: 1 });
    const source = await small();
    const asked = await Promise.allSettled([1, 2, 3, 4].map(() => describeIn(workers, source)));
    expect(asked.some(({ status }) => status === 'rejected')).toBe(true);
    expect(asked.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const each of asked) {
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ name: 'Unavailable' });
    }
  });

  it('leaves nothing behind', async () => {
    const workers = pool({ scratchDir: `${folder.directory}/closing` });
    await workers.warm();
    await workers.close();
    await expect(describeIn(workers, await small())).rejects.toMatchObject({ name: 'Unavailable' });
    await eventually(async () => expect(await readdir(`${folder.directory}/closing`)).toEqual([]));
  });
});
