import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
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

  it('pages through long texts within its memory, be they in pages of the file of 100 MB', async () => {
    const workers = pool();
    for (const format of ['parquet', 'csv']) {
      const source = folder.of(`${folder.directory}/long.${format}`);
      await folder.session((session) =>
        session.run(
          `COPY (SELECT i, repeat(chr(65 + (i % 26)::INTEGER), 8000) AS t FROM range(15000) t(i))
           TO '${source.path}' (FORMAT ${format})`,
        ),
      );
      for (let offset = 0; offset < 15_000; offset += 1000) {
        const rows = { columns: null, where: null, orderBy: [], offset, limit: 1000 };
        const page = await workers.ask('rows', { source, rows: { ...rows, format: 'json' } });
        expect(page).toMatchObject({ rowCount: 1000, more: offset < 14_000 });
      }
    }
  });

  it('tells what a result fails by, however slowly its reader takes what comes before', async () => {
    // The row is fetched while the batch before the one that it would follow is still being written.
    const sql = `SELECT i AS a, i AS b, i AS c, i AS d, i AS e, i AS f,
        CAST(CASE WHEN i = 133200 THEN 'no number' ELSE '1' END AS INTEGER) AS n
      FROM range(400000) t(i)`;
    const query = { sql, tables: [], format: 'arrow' } as const;
    const slowly = pool().stream('query', query, undefined, async (result, answered) => {
      for await (const piece of result.pieces()) {
        expect(piece.length).toBeGreaterThan(0);
        await sleep(100);
      }
      await answered;
    });
    await expect(slowly).rejects.toMatchObject({ name: 'InvalidRequest' });
  });

  it('leaves nothing behind', async () => {
    const workers = pool({ scratchDir: `${folder.directory}/closing` });
    await workers.warm();
    await workers.close();
    await expect(describeIn(workers, await small())).rejects.toMatchObject({ name: 'Unavailable' });
    await eventually(async () => expect(await readdir(`${folder.directory}/closing`)).toEqual([]));
  });
});
