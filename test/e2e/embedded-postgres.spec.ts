import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type PreparedCluster, prepareCluster } from '../database/prepared-cluster.js';
import { canSearch, giveTo } from '../../src/platform/database/embedded/account.js';
import { clusterDirOf, homeOf } from '../../src/platform/database/embedded/cluster.js';
import { processesOn, readPidFile } from '../../src/platform/database/embedded/processes.js';

const IS_ROOT = process.getuid?.() === 0;
/** An ordinary user whom root can become; every Debian and macOS has one of this id. */
const NOBODY = { uid: 65534, gid: 65534 };
const IS_LINUX = process.platform === 'linux';
/** Only root can become somebody else, who has to be able to read this clone. */
const CAN_BECOME_NOBODY = IS_ROOT && IS_LINUX && (await canSearch(process.cwd(), NOBODY));

interface Told {
  ready?: boolean;
  drained?: boolean;
  url?: string;
  log?: string;
  error?: string;
  message?: string;
}

/** A process of database-process.ts. */
interface Holder {
  readonly child: ChildProcess;
  readonly told: Told[];
  /** The first line that is `ready` or an `error`. */
  readonly started: Promise<Told>;
  readonly ended: Promise<unknown>;
}

describe('the embedded database, from outside', () => {
  let root: string;
  let dataDir: string;
  let holders: Holder[];
  let others: ChildProcess[];

  let prepared: PreparedCluster;
  beforeAll(async () => {
    prepared = await prepareCluster();
  });
  afterAll(() => prepared.drop());

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'varve-e2e-'));
    await chmod(root, 0o755);
    dataDir = path.join(root, 'data');
    await mkdir(dataDir);
    await prepared.copyTo(dataDir);
    holders = [];
    others = [];
  });
  afterEach(async () => {
    for (const { child, ended } of holders) {
      child.stdin?.end();
      await ended;
    }
    for (const child of others) child.kill('SIGKILL');
    for (const { pid } of await onCluster()) process.kill(pid, 'SIGKILL');
    await rm(root, { recursive: true });
  });

  /** As before the very first start. */
  const forgetCluster = () => rm(dataDir, { recursive: true });

  function hold(
    mode: 'lock' | 'serve',
    options: { as?: typeof NOBODY; dir?: string } = {},
  ): Holder {
    const child = spawn(
      process.execPath,
      [
        '--import',
        './test/typescript.mjs',
        'test/e2e/database-process.ts',
        mode,
        options.dir ?? dataDir,
      ],
      { stdio: ['pipe', 'pipe', 'ignore'], detached: true, ...options.as },
    );
    const told: Told[] = [];
    const ended = once(child, 'exit');
    const started = new Promise<Told>((resolve, reject) => {
      createInterface(child.stdout).on('line', (line) => {
        const said = JSON.parse(line) as Told;
        told.push(said);
        if (said.ready === true || said.error !== undefined) resolve(said);
      });
      ended.then(() => reject(new Error(`It ended: ${JSON.stringify(told)}`)), reject);
    });
    started.catch(() => undefined);
    const holder = { child, told, started, ended };
    holders.push(holder);
    return holder;
  }

  async function serve(options: { as?: typeof NOBODY; dir?: string } = {}) {
    const holder = hold('serve', options);
    const { url, message } = await holder.started;
    if (url === undefined) throw new Error(message);
    return { ...holder, url };
  }

  const onCluster = () => processesOn(clusterDirOf(homeOf(dataDir))).catch(() => []);

  async function until(what: () => Promise<boolean> | boolean): Promise<void> {
    while (!(await what())) await sleep(20);
  }

  async function query<Row>(url: string, sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: url });
    await client.connect();
    return client
      .query(sql)
      .then(({ rows }) => rows as Row[])
      .finally(() => client.end());
  }

  const write = (url: string) => query(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const expectKept = async (url: string) =>
    expect(await query(url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);

  async function stop(holder: Holder): Promise<void> {
    holder.child.stdin?.end();
    await holder.ended;
  }

  async function kill(holder: Holder): Promise<void> {
    holder.child.kill('SIGKILL');
    await holder.ended;
  }

  async function killServer(): Promise<void> {
    for (const { pid } of await onCluster()) process.kill(pid, 'SIGKILL');
    await until(async () => (await onCluster()).length === 0);
  }

  async function killAll(holder: Holder): Promise<void> {
    await kill(holder);
    await killServer();
  }

  it('keeps what was written over a restart, and leaves no process behind', async () => {
    await forgetCluster();
    const first = await serve();
    await write(first.url);
    await stop(first);
    expect(await onCluster()).toEqual([]);
    await expectKept((await serve()).url);
  });

  it('takes over from a server whose process was killed and left it running', async () => {
    const killed = await serve();
    await write(killed.url);
    await kill(killed);
    const left = (await onCluster()).filter(({ isPostmaster }) => isPostmaster);
    expect(left).toHaveLength(1);

    const next = await serve();
    await expectKept(next.url);
    expect(next.told.map(({ log }) => log).join()).toMatch(/an earlier process had left running/);
    const now = (await onCluster()).filter(({ isPostmaster }) => isPostmaster);
    expect(now).toHaveLength(1);
    expect(now).not.toEqual(left);
  });

  it('recovers after everything was killed', async () => {
    const killed = await serve();
    await write(killed.url);
    await killAll(killed);
    await expectKept((await serve()).url);
  });

  it('recovers after everything was killed in the middle of the first start', async () => {
    await forgetCluster();
    for (const afterMs of [150, 300, 450, 600]) {
      const starting = hold('serve');
      await sleep(afterMs);
      await killAll(starting);
    }
    const { url } = await serve();
    await write(url);
    expect((await readdir(dataDir)).filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  it('starts although the pid of the killed server now belongs to another program', async () => {
    const killed = await serve();
    await write(killed.url);
    await killAll(killed);
    const stranger = spawn('sleep', ['1000'], await serverUser());
    others.push(stranger);
    await nameInPidFile(stranger.pid!);
    await expectKept((await serve()).url);
    expect([stranger.exitCode, stranger.signalCode]).toEqual([null, null]);
  });

  (IS_LINUX ? it : it.skip)('starts although the killed server is a zombie (Linux)', async () => {
    const killed = await serve();
    await write(killed.url);
    await killAll(killed);
    // A shell that starts a child and becomes a program that never waits for it.
    const parent = spawn('sh', ['-c', 'true & exec sleep 1000'], await serverUser());
    others.push(parent);
    let zombie: number | undefined;
    await until(async () => (zombie = await zombieOf(parent.pid!)) !== undefined);
    expect(() => process.kill(zombie!, 0)).not.toThrow();
    await nameInPidFile(zombie!);
    await expectKept((await serve()).url);
  });

  /** PostgreSQL takes no notice of the processes of other users. */
  async function serverUser(): Promise<{ uid?: number; gid?: number }> {
    const { uid, gid } = await stat(clusterDirOf(homeOf(dataDir)));
    return IS_ROOT ? { uid, gid } : {};
  }

  async function nameInPidFile(pid: number): Promise<void> {
    const file = path.join(clusterDirOf(homeOf(dataDir)), 'postmaster.pid');
    const lines = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, [String(pid), ...lines.slice(1)].join('\n'));
    expect((await readPidFile(clusterDirOf(homeOf(dataDir))))?.pid).toBe(pid);
  }

  async function zombieOf(parent: number): Promise<number | undefined> {
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const [state, ppid] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z' && Number(ppid) === parent) return Number(pid);
    }
    return undefined;
  }

  it('survives a Ctrl-C in the terminal until its process has drained', async () => {
    const holder = await serve();
    // What a terminal does: the signal goes to every process of the group.
    process.kill(-holder.child.pid!, 'SIGINT');
    await holder.ended;
    expect(holder.told.at(-1)).toEqual({ drained: true });
    expect(await onCluster()).toEqual([]);
  });

  it.each(['exit', 'throw'])('ends with its process also when that ends by %s', async (order) => {
    const holder = await serve();
    holder.child.stdin?.write(`${order}\n`);
    await holder.ended;
    expect(holder.child.exitCode).not.toBe(0);
    await until(async () => (await onCluster()).length === 0);
  });

  it('refuses a second process on its data directory, and says which has it', async () => {
    const first = await serve();
    const second = await hold('serve').started;
    expect(second).toMatchObject({ error: 'DataDirInUse' });
    expect(second.message).toContain(dataDir);
    expect(second.message).toContain(`process ${first.child.pid}`);
    expect(await query(first.url, 'SELECT 1 AS up')).toEqual([{ up: 1 }]);
  });

  it('gives the data directory to exactly one of many processes at once', async () => {
    const racers = Array.from({ length: 6 }, () => hold('lock'));
    const outcomes = await Promise.all(racers.map(({ started }) => started));
    expect(outcomes.filter(({ ready }) => ready)).toHaveLength(1);
    expect(outcomes.filter(({ error }) => error === 'DataDirInUse')).toHaveLength(5);
  });

  it('lets the data directory go when its process is killed, before anybody has waited for it', async () => {
    const killed = hold('lock');
    await killed.started;
    killed.child.kill('SIGKILL');
    await killed.ended;
    expect(await hold('lock').started).toMatchObject({ ready: true });
  });

  it('works in a directory too deep for a Unix socket', async () => {
    dataDir = path.join(root, ...Array.from({ length: 12 }, () => 'a-rather-long-directory-name'));
    expect(dataDir.length).toBeGreaterThan(300);
    const { url } = await serve();
    await write(url);
  });

  it('works in a directory whose name has spaces, quotes and any Unicode', async () => {
    dataDir = path.join(root, `it's a "dïr" — \\ 数据 $HOME`);
    const { url } = await serve();
    await write(url);
  });

  (CAN_BECOME_NOBODY ? it : it.skip)('works as an ordinary user (tried by root)', async () => {
    await forgetCluster();
    await mkdir(dataDir);
    await chown(dataDir, NOBODY.uid, NOBODY.gid);
    const first = await serve({ as: NOBODY });
    await write(first.url);
    expect((await stat(clusterDirOf(homeOf(dataDir)))).uid).toBe(NOBODY.uid);
    await kill(first);
    await expectKept((await serve({ as: NOBODY })).url);
  });

  (CAN_BECOME_NOBODY ? it : it.skip)(
    'goes on as the same user when root starts it next (tried by root)',
    async () => {
      await giveTo(NOBODY, dataDir);
      const first = await serve({ as: NOBODY });
      await write(first.url);
      await stop(first);
      const second = await serve();
      await expectKept(second.url);
      expect((await stat(clusterDirOf(homeOf(dataDir)))).uid).toBe(NOBODY.uid);
      await stop(second);
    },
  );

  (CAN_BECOME_NOBODY ? it : it.skip)(
    'works as root in a directory that nobody else can reach, restored by root or not',
    async () => {
      await chmod(root, 0o700);
      const first = await serve();
      await write(first.url);
      const clusterDir = clusterDirOf(homeOf(dataDir));
      const owner = (await stat(clusterDir)).uid;
      expect(owner).not.toBe(0);
      await stop(first);

      await chown(clusterDir, 0, 0);
      for (const entry of await readdir(clusterDir, { recursive: true })) {
        await chown(path.join(clusterDir, entry), 0, 0);
      }
      await expectKept((await serve()).url);
      expect((await stat(path.join(clusterDir, 'base'))).uid).toBe(owner);
    },
  );
});
