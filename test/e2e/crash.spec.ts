import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
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
  dataDir = await mkdtemp(path.join(tmpdir(), 'varve-crash-'));
});

afterAll(async () => {
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

const environment = () => ({ DATABASE_URL: database.url, DATA_DIR: dataDir });
const authorization = { Authorization: `Bearer ${PROCESS_TOKEN}` };
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Uploads, and gives the id that a 2xx promised; null where there was no such answer. */
async function upload(server: ServerProcess, bytes: Buffer, query = ''): Promise<number | null> {
  try {
    const answer = await fetch(`${server.url}/api/v1/files?name=crash.bin${query}`, {
      method: 'POST',
      headers: { ...authorization, 'Content-Type': 'application/octet-stream' },
      body: new Uint8Array(bytes),
      signal: AbortSignal.timeout(20_000),
    });
    const { id } = (await answer.json()) as { id: number };
    return answer.ok ? id : null;
  } catch {
    return null;
  }
}

async function download(server: ServerProcess, id: number): Promise<Buffer> {
  const answer = await fetch(`${server.url}/api/v1/files/${id}/content`, {
    headers: authorization,
  });
  expect(answer.status).toBe(200);
  return Buffer.from(await answer.arrayBuffer());
}

async function expectNothingWrong(): Promise<void> {
  const verdict = await verifyOutside('--data-dir', dataDir, '--database-url', database.url);
  expect(verdict).toMatchObject({ code: 0 });
}

describe('a server that is killed while it stores a file', () => {
  const sizes = { small: 10_000, large: 3_000_000 };
  const steps = ['write', 'sync', 'rename', 'directory-sync', 'before-commit', 'after-commit'];

  it.each(steps.flatMap((step) => Object.keys(sizes).map((size) => [step, size] as const)))(
    'at %s of a %s one has lost nothing that it promised, and takes the file afterwards',
    async (step, size) => {
      const bytes = randomBytes(sizes[size as keyof typeof sizes]);
      const doomed = await startServerProcess(
        { ...environment(), KILL_AT: `${step}:1` },
        'test/crash/kill-at.mjs',
      );
      const promised = await upload(doomed, bytes, '&fileType=kill-me');
      // The step was really reached: otherwise this test would show nothing.
      expect(await doomed.exited).toBeNull();
      expect(promised).toBeNull();
      await expectNothingWrong();

      const next = await startServerProcess(environment());
      const id = await upload(next, bytes);
      expect(id).not.toBeNull();
      expect(sha256(await download(next, id ?? 0))).toBe(sha256(bytes));
      await next.end('SIGTERM');
      await expectNothingWrong();
    },
  );

  it('at any moment keeps every file that it answered for', async () => {
    const promised = new Map<number, string>();
    for (let round = 0; round < 6; round++) {
      const server = await startServerProcess(environment());
      let living = true;
      const writer = async () => {
        while (living) {
          const bytes = randomBytes(1 + Math.floor(Math.random() * 700_000));
          const id = await upload(server, bytes);
          if (id !== null) promised.set(id, sha256(bytes));
        }
      };
      const writers = Array.from({ length: 6 }, writer);
      // However slow the machine is: after some answers, and then at any moment.
      const enough = promised.size + 4;
      await eventually(() => expect(promised.size).toBeGreaterThanOrEqual(enough));
      await sleep(Math.random() * 900);
      await server.end('SIGKILL');
      living = false;
      await Promise.all(writers);
      await expectNothingWrong();
    }
    const server = await startServerProcess(environment());
    for (const [id, digest] of promised) {
      expect(sha256(await download(server, id))).toBe(digest);
    }
    await server.end('SIGTERM');
  });

  it('leaves nothing behind for ever: the collector takes the rest away', async () => {
    const server = await startServerProcess({
      ...environment(),
      GC_GRACE: '0s',
      STAGING_GRACE: '0s',
      UPLOAD_HOLD: '1ms',
    });
    const client = new Client(database.url);
    await client.connect();
    await client.query('UPDATE upload_holds SET expires_at = now()');
    const left = async () => {
      const entries = await readdir(path.join(dataDir, 'artifacts'), {
        recursive: true,
        withFileTypes: true,
      });
      const staged = await readdir(path.join(dataDir, 'staging'));
      return entries.filter((entry) => entry.isFile()).length + staged.length;
    };
    expect(await left()).toBeGreaterThan(0);
    // The first pass finds what no row names, a later one takes it away.
    for (let pass = 0; pass < 20 && (await left()) > 0; pass++) {
      await fetch(`${server.url}/api/v1/admin/gc`, {
        method: 'POST',
        headers: { ...authorization, 'Content-Type': 'application/json' },
        body: '{}',
      });
      await sleep(500);
    }
    expect(await left()).toBe(0);
    await client.end();
    await server.end('SIGTERM');
    await expectNothingWrong();
  });
});

describe('two servers on one database', () => {
  it('store a content once that 100 clients upload at once', async () => {
    const servers = await Promise.all([
      startServerProcess(environment()),
      startServerProcess(environment()),
    ]);
    const bytes = randomBytes(300_000);
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, index) => upload(servers[index % 2] ?? servers[0], bytes)),
    );
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).not.toBeNull();
    const client = new Client(database.url);
    await client.connect();
    const { rows } = await client.query('SELECT id FROM files WHERE content_hash = $1', [
      sha256(bytes),
    ]);
    expect(rows).toEqual([{ id: ids[0] }]);
    await client.end();
    await Promise.all(servers.map((server) => server.end('SIGTERM')));
    await expectNothingWrong();
  });

  it('start together on a new database', async () => {
    const fresh = await testDatabase();
    try {
      const client = new Client(fresh.url);
      await client.connect();
      await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
      await client.query('DROP SCHEMA IF EXISTS graphile_worker CASCADE');
      await client.end();
      const both = await Promise.all(
        [1, 2].map(() => startServerProcess({ DATABASE_URL: fresh.url, DATA_DIR: dataDir })),
      );
      for (const server of both) {
        expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
        await server.end('SIGTERM');
      }
    } finally {
      await fresh.drop();
    }
  });
});

describe('a database that goes away under load', () => {
  it('costs no file that was answered for, and the server comes back by itself', async () => {
    const server = await startServerProcess(environment());
    const promised = new Map<number, string>();
    let running = true;
    const writers = Array.from({ length: 4 }, async () => {
      while (running) {
        const bytes = randomBytes(20_000);
        const id = await upload(server, bytes);
        if (id !== null) promised.set(id, sha256(bytes));
        else await sleep(20);
      }
    });
    const killer = new Client(database.url);
    await killer.connect();
    for (let round = 0; round < 8; round++) {
      await sleep(150);
      await killer.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()',
      );
    }
    await killer.end();
    await sleep(500);
    running = false;
    await Promise.all(writers);
    await eventually(async () =>
      expect((await fetch(`${server.url}/health/ready`)).status).toBe(200),
    );
    expect(promised.size).toBeGreaterThan(0);
    for (const [id, digest] of promised) {
      expect(sha256(await download(server, id))).toBe(digest);
    }
    await server.end('SIGTERM');
    await expectNothingWrong();
  });
});
