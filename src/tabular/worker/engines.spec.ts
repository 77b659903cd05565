import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TableFolder } from '../../../test/builders/tables.js';
import { ReadyEngines } from './engines.js';

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

describe('engines that are kept ready', () => {
  it('hold nothing of the request before', async () => {
    const engines = new ReadyEngines();
    const first = await engines.open(folder.limits);
    await first.run('CREATE TEMP TABLE kept AS SELECT 1 AS a');
    await first.seal([]);
    engines.close(first);
    await nextTurn();
    await expect(first.run('SELECT 1')).rejects.toThrow();
    const second = await engines.open(folder.limits);
    expect(second).not.toBe(first);
    await expect(second.run('SELECT * FROM kept')).rejects.toThrow('kept');
    await second.run(`SET threads = 1`);
    second.close();
  });

  it('serve again where nothing was done but reading', async () => {
    const engines = new ReadyEngines();
    const first = await engines.open(folder.limits);
    await first.row('SELECT 1');
    engines.close(first);
    expect(await engines.open(folder.limits)).toBe(first);
    first.isAsOpened = false;
    engines.close(first);
    const next = await engines.open(folder.limits);
    expect(next).not.toBe(first);
    next.close();
    await nextTurn();
  });

  it('are one, however fast requests follow each other', async () => {
    const engines = new ReadyEngines();
    const first = await engines.open(folder.limits);
    first.isAsOpened = false;
    engines.close(first);
    const second = await engines.open(folder.limits);
    await nextTurn();
    engines.close(second);
    const third = await engines.open(folder.limits);
    expect(third).toBe(second);
    third.close();
  });

  it('are bound by the limits of the request that they are lent to', async () => {
    const engines = new ReadyEngines();
    engines.close(await engines.open(folder.limits));
    await nextTurn();
    const session = await engines.open({ ...folder.limits, threads: 1 });
    expect(await session.row(`SELECT current_setting('threads')`)).toEqual(['1']);
    session.close();
  });
});
