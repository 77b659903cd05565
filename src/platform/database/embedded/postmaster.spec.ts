import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Account, accountFor } from './account.js';
import { type Binaries, findPackage, runnablePrograms } from './binaries.js';
import { type Cluster, homeOf, openCluster } from './cluster.js';
import {
  clearLeftovers,
  type Postmaster,
  PostmasterFailed,
  startPostmaster,
  stopPostmaster,
} from './postmaster.js';
import { clusterNameOf, processesOn, readPidFile } from './processes.js';

const SHORT = { fastMs: 200, immediateMs: 200 };
const HAS_PS = spawnSync('ps', ['-V']).error === undefined;

describe('a server process', () => {
  let root: string;
  let cluster: Cluster;
  let binaries: Binaries;
  let account: Account | null;
  let port: number;
  let postmaster: Postmaster;

  beforeAll(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'varve-postmaster-'));
    await chmod(root, 0o755);
    account = await accountFor(root);
    binaries = await runnablePrograms(await findPackage(), account, root);
    cluster = await openCluster(homeOf(root), binaries, account, { fsync: false });
  });
  afterAll(() => rm(root, { recursive: true }));

  beforeEach(async () => {
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    port = (listener.address() as AddressInfo).port;
    listener.close();
    await once(listener, 'close');
    postmaster = await start();
  });
  afterEach(async () => {
    await clearLeftovers(cluster, binaries);
    await postmaster.ended;
  });

  const start = () =>
    startPostmaster(cluster, binaries, account, {
      port,
      fsync: false,
      onRecovery: () => undefined,
    });
  const backends = async () =>
    (await processesOn(cluster.dir)).filter(({ isPostmaster }) => !isPostmaster);

  it('is known by its pid file and by its title, as are its backends', async () => {
    expect(await readPidFile(cluster.dir)).toEqual({ pid: postmaster.pid, port, status: 'ready' });
    const found = await processesOn(cluster.dir);
    expect(found.filter(({ isPostmaster }) => isPostmaster)).toEqual([
      { pid: postmaster.pid, isPostmaster: true },
    ]);
    expect(found.length).toBeGreaterThan(1);
    expect(await processesOn(root)).toEqual([]);
  });

  (HAS_PS ? it : it.skip)('is known by what ps shows, too (needs ps)', async () => {
    const found = await processesOn(cluster.dir, 'darwin');
    expect(found).toContainEqual({ pid: postmaster.pid, isPostmaster: true });
    expect(found.length).toBeGreaterThan(1);
  });

  it('is not mistaken for another program that carries its title', async () => {
    const title = `postgres: ${await clusterNameOf(cluster.dir)}: checkpointer`;
    const stranger = spawn('sleep', ['1000'], { argv0: title });
    await once(stranger, 'spawn');
    const found = await processesOn(cluster.dir);
    stranger.kill('SIGKILL');
    expect(found.map(({ pid }) => pid)).not.toContain(stranger.pid);
  });

  it('is told from one that cannot have its port', async () => {
    await stopPostmaster(postmaster, binaries);
    const taken = createServer().listen(port, '127.0.0.1');
    await once(taken, 'listening');
    const failure: unknown = await start().catch((error: unknown) => error);
    taken.close();
    expect(failure).toBeInstanceOf(PostmasterFailed);
    expect((failure as PostmasterFailed).portTaken).toBe(true);
  });

  it('is stopped the hard way when it does not react, and its backends with it', async () => {
    process.kill(postmaster.pid, 'SIGSTOP');
    await stopPostmaster(postmaster, binaries, SHORT);
    expect(await postmaster.ended).toBe('signal SIGKILL');
    await clearLeftovers(cluster, binaries);
    expect(await processesOn(cluster.dir)).toEqual([]);
  });

  it('is cleared away when it does not react', async () => {
    process.kill(postmaster.pid, 'SIGSTOP');
    expect(await clearLeftovers(cluster, binaries, SHORT)).toBe(true);
    expect(await processesOn(cluster.dir)).toEqual([]);
    expect(await clearLeftovers(cluster, binaries, SHORT)).toBe(false);
  });

  it('leaves a backend that hangs, which is cleared away too', async () => {
    const [hanging] = await backends();
    process.kill(hanging!.pid, 'SIGSTOP');
    process.kill(postmaster.pid, 'SIGKILL');
    await postmaster.ended;
    await clearLeftovers(cluster, binaries, SHORT);
    expect(await processesOn(cluster.dir)).toEqual([]);
    postmaster = await start();
  });

  it.each(['', 'no number\n', '1\n/dir\n0\nno port\n'])('has no pid file in "%s"', async (text) => {
    const directory = await mkdtemp(path.join(root, 'pid-'));
    await writeFile(path.join(directory, 'postmaster.pid'), text);
    expect(await readPidFile(directory)).toBeNull();
  });
});
