import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFile, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import type { Tx } from '../../core/contracts/unit-of-work.js';
import { connectToEmbedded } from './connect-to-embedded.js';
import { lockDataDir } from './data-dir-lock.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.js';
import { clusterDirOf, homeOf } from './embedded/cluster.js';
import { processesOn, readPidFile } from './embedded/processes.js';
import { type PreparedCluster, prepareCluster } from '../../../test/database/prepared-cluster.js';
import { asUnavailable } from './database-errors.js';
import { openDatabase } from './open-database.js';
import { postgresOptions } from './postgres-options.js';
import { TypeOrmUnitOfWork } from './unit-of-work.js';

describe('the embedded PostgreSQL', () => {
  let dataDir: string;
  let clusterDir: string;
  let told: string[];
  let running: { stop(): Promise<void> }[];
  const log = {
    info: (message: string) => void told.push(message),
    warn: (message: string) => void told.push(message),
    error: (message: string) => void told.push(message),
  };

  let prepared: PreparedCluster;
  beforeAll(async () => {
    prepared = await prepareCluster();
  });
  afterAll(() => prepared.drop());

  beforeEach(async () => {
    dataDir = await mkdtemp(path.join(tmpdir(), 'varve-embedded-'));
    clusterDir = clusterDirOf(homeOf(dataDir));
    await prepared.copyTo(dataDir);
    told = [];
    running = [];
  });

  /** As before the very first start. */
  const forgetCluster = () => rm(homeOf(dataDir), { recursive: true });
  afterEach(async () => {
    for (const server of running) await server.stop();
    expect(await processesOn(clusterDir).catch(() => [])).toEqual([]);
    await rm(dataDir, { recursive: true });
  });

  async function start(): Promise<EmbeddedPostgres> {
    const server = await startEmbeddedPostgres({ dataDir, log, fsync: false });
    running.push(server);
    return server;
  }

  async function query<Row>(url: string, sql: string): Promise<Row[]> {
    const client = new Client({ connectionString: url });
    client.on('error', () => undefined);
    await client.connect();
    return client
      .query(sql)
      .then(({ rows }) => rows as Row[])
      .finally(() => client.end());
  }

  async function until(what: () => Promise<boolean> | boolean): Promise<void> {
    while (!(await what())) await sleep(20);
  }

  const killServer = async () => process.kill((await readPidFile(clusterDir))!.pid, 'SIGKILL');
  const answers = (url: string) => query(url, 'SELECT 1').then(Boolean, () => false);

  it('keeps what was written over a restart, and its passwords to itself', async () => {
    await forgetCluster();
    const first = await start();
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await start();
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    const credentials = await stat(path.join(homeOf(dataDir), 'credentials.json'));
    expect(credentials.mode & 0o777).toBe(0o600);
    expect((await stat(clusterDir)).mode & 0o777).toBe(0o700);
  });

  it('lets nobody in without the password, and its own role is no superuser', async () => {
    const { url, adminUrl } = await start();
    const guess = new URL(url);
    guess.password = 'guess';
    await expect(query(guess.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    expect(await query(url, `SELECT current_setting('is_superuser') AS super`)).toEqual([
      { super: 'off' },
    ]);
    expect(await query(adminUrl, `SELECT current_setting('is_superuser') AS super`)).toEqual([
      { super: 'on' },
    ]);
    expect(
      await query(
        url,
        `SELECT lower('ÄÖ') AS lower, pg_encoding_to_char(encoding) AS encoding
                        FROM pg_database WHERE datname = current_database()`,
      ),
    ).toEqual([{ lower: 'äö', encoding: 'UTF8' }]);
  });

  it('can have the extensions that a search needs', async () => {
    const { url } = await start();
    await query(
      url,
      'CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE EXTENSION unaccent; CREATE EXTENSION pgcrypto',
    );
  });

  it('restarts a server that dies, under the same URL', async () => {
    const { url } = await start();
    for (let deaths = 0; deaths < 2; deaths++) {
      await killServer();
      await until(() => told.filter((line) => /runs again/.test(line)).length > deaths);
      expect(await answers(url)).toBe(true);
    }
    expect(told[0]).toMatch(/ended with signal SIGKILL; restarting/);
  });

  it('takes a pool with it when it dies: what fails meanwhile is 503, and what succeeds is kept', async () => {
    const { url } = await start();
    await query(url, 'CREATE TABLE written (id integer PRIMARY KEY)');
    const dataSource = await new DataSource(
      postgresOptions({ url, poolSize: 5, onPoolError: () => undefined }),
    ).initialize();
    const unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
    const [written, failures]: [number[], unknown[]] = [[], []];
    let next = 0;
    let finished = false;
    const writer = async () => {
      while (!finished) {
        const id = ++next;
        const insert = (tx: Tx) => tx.query('INSERT INTO written VALUES ($1)', [id]);
        await unitOfWork.run(insert).then(
          () => written.push(id),
          (error: unknown) => failures.push(error),
        );
        await sleep(1);
      }
    };
    const writers = Array.from({ length: 10 }, writer);
    await until(() => written.length > 50);
    await killServer();
    await until(() => told.some((line) => /runs again/.test(line)));
    const before = written.length;
    await until(() => written.length > before + 50);
    finished = true;
    await Promise.all(writers);
    await dataSource.destroy();

    expect(failures.length).toBeGreaterThan(0);
    expect(failures.filter((error) => asUnavailable(error) === null)).toEqual([]);
    const rows = await query<{ id: number }>(url, 'SELECT id FROM written');
    const kept = new Set(rows.map(({ id }) => id));
    expect(written.filter((id) => !kept.has(id))).toEqual([]);
  });

  it('tries again and again to restart, says why it cannot, and can be stopped meanwhile', async () => {
    const server = await start();
    const configFile = path.join(clusterDir, 'postgresql.conf');
    const config = await readFile(configFile);
    await appendFile(configFile, 'nonsense = 1\n');
    await killServer();
    await until(() => told.filter((line) => /could not be restarted/.test(line)).length > 1);
    expect(told.join('\n')).toContain('nonsense');

    await writeFile(configFile, config);
    await until(() => answers(server.url));
    await appendFile(configFile, 'nonsense = 1\n');
    await killServer();
    await until(() => /could not be restarted/.test(told.at(-1)!));
    await server.stop();
    await server.stop();
  });

  it('says what the server said when it cannot start', async () => {
    await appendFile(path.join(clusterDir, 'postgresql.conf'), 'nonsense = 1\n');
    await expect(start()).rejects.toThrow(/exit code 1: .*nonsense/s);
  });

  it('refuses a cluster of another major version', async () => {
    await writeFile(path.join(clusterDir, 'PG_VERSION'), '17\n');
    await expect(start()).rejects.toThrow(/was made by PostgreSQL 17; this release runs/);
  });

  it('starts the log afresh once it has grown large', async () => {
    const logFile = path.join(homeOf(dataDir), 'server.log');
    await writeFile(logFile, Buffer.alloc(17 * 1024 * 1024));
    await start();
    expect((await stat(`${logFile}.old`)).size).toBe(17 * 1024 * 1024);
    expect((await stat(logFile)).size).toBeLessThan(100_000);
  });

  it('does not mistake a half-made cluster for a whole one', async () => {
    const unfinished = `${homeOf(dataDir)}.unfinished-killed`;
    await rename(homeOf(dataDir), unfinished);
    const { url } = await start();
    expect(await answers(url)).toBe(true);
    await expect(stat(unfinished)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  describe('for tools', () => {
    it('is the one that the server runs, while that has the data directory', async () => {
      const lock = await lockDataDir(dataDir);
      const server = await start();
      const tool = await connectToEmbedded(dataDir, log);
      expect(tool).toMatchObject({ url: server.url, shared: true });
      await tool.close();
      expect(await answers(server.url)).toBe(true);
      await lock.release();
    });

    it('is started and stopped for them otherwise, with the data directory taken', async () => {
      const tool = await connectToEmbedded(dataDir, log);
      expect(tool.shared).toBe(false);
      expect(await answers(tool.url)).toBe(true);
      await expect(lockDataDir(dataDir)).rejects.toThrow(/in use/);
      await tool.close();
      expect(await answers(tool.url)).toBe(false);
      await (await lockDataDir(dataDir)).release();
    });

    it('is awaited while a server starts, and given up when it does not come', async () => {
      const server = await start();
      const pidFile = await readFile(path.join(clusterDir, 'postmaster.pid'));
      await server.stop();
      const lock = await lockDataDir(dataDir);
      // What a killed server left: it names a port on which nobody listens.
      await writeFile(path.join(clusterDir, 'postmaster.pid'), pidFile);
      await expect(connectToEmbedded(dataDir, log, 300)).rejects.toThrow(/has not come up/);
      const tool = connectToEmbedded(dataDir, log);
      const { url } = await start();
      expect(await tool).toMatchObject({ url, shared: true });
      await lock.release();
    });

    it('is refused where there is none, and none is made', async () => {
      await forgetCluster();
      await expect(connectToEmbedded(dataDir, log)).rejects.toThrow(/There is no database in/);
      await expect(stat(homeOf(dataDir))).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('lets the data directory go when it cannot be started', async () => {
      await appendFile(path.join(clusterDir, 'postgresql.conf'), 'nonsense = 1\n');
      await expect(connectToEmbedded(dataDir, log)).rejects.toThrow(/nonsense/);
      await (await lockDataDir(dataDir)).release();
    });
  });

  it('is opened with every migration done, and stopped when one fails', async () => {
    await forgetCluster();
    const opened = await openDatabase({ DATABASE_URL: undefined, DATA_DIR: dataDir }, log);
    expect(opened.embedded).toBe(true);
    expect(await query(opened.url, 'SELECT * FROM users')).toEqual([]);
    expect(told.join('\n')).toMatch(/Migrated the database: Access1763600000001/);
    await query(opened.url, 'DROP TABLE migrations');
    await opened.close();
    await expect(openDatabase({ DATABASE_URL: undefined, DATA_DIR: dataDir }, log)).rejects.toThrow(
      /already exists/,
    );
    expect(await processesOn(clusterDir)).toEqual([]);
  });
});
