import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { WorkerThread } from './worker-thread.js';

const PROGRAM = `
  import { parentPort, workerData } from 'node:worker_threads';
  parentPort.on('message', (request) => {
    if (request === 'throw') throw new Error('cannot do that');
    if (request === 'throw nothing') throw undefined;
    if (request === 'exit') process.exit(0);
    parentPort.postMessage(workerData.greeting + request);
  });`;

describe('WorkerThread', () => {
  let root: string;
  const start = () =>
    new WorkerThread<string, string>('test', pathToFileURL(path.join(root, 'program.mjs')), {
      greeting: 'hello ',
    });

  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'varve-thread-'));
    await writeFile(path.join(root, 'program.mjs'), PROGRAM);
  });

  afterAll(() => rm(root, { recursive: true }));

  it('answers each request, in their order', async () => {
    const thread = start();
    const asked = ['a', 'b', 'c'].map((name) => thread.ask(name));
    expect(thread.load).toBe(3);
    expect(await Promise.all(asked)).toEqual(['hello a', 'hello b', 'hello c']);
    expect(thread.load).toBe(0);
    await thread.stop();
  });

  it.each([
    ['throw', 'cannot do that'],
    ['throw nothing', 'undefined'],
    ['exit', 'has ended'],
  ])('fails everybody who waits when it ends by %p, and whoever comes after', async (how, why) => {
    const thread = start();
    const asked = [thread.ask(how), thread.ask('later')];
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({ status: 'rejected' });
      const { message } = (outcome as PromiseRejectedResult).reason as Error;
      expect(message).toContain(why);
    }
    expect(thread.isAlive).toBe(false);
    await expect(thread.ask('after')).rejects.toThrow('has ended');
  });

  it('takes nothing once it is stopped', async () => {
    const thread = start();
    const stopped = thread.stop();
    expect(thread.isAlive).toBe(false);
    await expect(thread.ask('after')).rejects.toThrow('has ended');
    await stopped;
  });
});
