import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { eventually } from '../builders/eventually.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';
import { PROCESS_TOKEN, startServerProcess, verifyOutside } from '../server-process.js';

let database: TestDatabase;
let dataDir: string;

beforeAll(async () => {
  database = await testDatabase();
  dataDir = await mkdtemp(path.join(tmpdir(), 'varve-stop-'));
});

afterAll(async () => {
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

/** More than the server gathers before it writes. */
const HALF = 3_000_000;

/** Begins an upload of `size` bytes, and leaves the rest of it to the caller. */
function beginUpload(url: string, size: number) {
  const req = request(`${url}/api/v1/files?name=slow.bin`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${PROCESS_TOKEN}`,
      'Content-Type': 'application/octet-stream',
      'Content-Length': size,
    },
  });
  const answer = new Promise<number>((resolve, reject) => {
    req.on('error', reject);
    req.on('response', (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
  });
  // Whoever cares awaits it; a cut connection must not end the test run meanwhile.
  answer.catch(() => undefined);
  return { req, answer };
}

/** Waits until the server has written down what it was sent; its own trial of the disk is small. */
const arriving = () =>
  eventually(async () => {
    const names = await readdir(path.join(dataDir, 'staging'));
    const all = await Promise.all(names.map((name) => stat(path.join(dataDir, 'staging', name))));
    expect(Math.max(...all.map(({ size }) => size))).toBeGreaterThan(HALF / 2);
  });

/** Fails where nobody listens. */
const connecting = async (url: string) => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
};

describe('SIGTERM', () => {
  it('lets a running upload end, takes no new connection, and exits with 0', async () => {
    const server = await startServerProcess({ DATABASE_URL: database.url, DATA_DIR: dataDir });
    const { req, answer } = beginUpload(server.url, 2 * HALF);
    req.write(Buffer.alloc(HALF, 1));
    await arriving();
    const ended = server.end('SIGTERM');
    await eventually(() => expect(connecting(server.url)).rejects.toThrow());
    req.end(Buffer.alloc(HALF, 2));
    expect(await answer).toBe(201);
    expect(await ended).toBe(0);
  });

  it('cuts off what takes longer than the limit, and leaves nothing wrong behind', async () => {
    const server = await startServerProcess({
      DATABASE_URL: database.url,
      DATA_DIR: dataDir,
      SHUTDOWN_GRACE: '500ms',
    });
    const { req, answer } = beginUpload(server.url, 2 * HALF);
    req.write(Buffer.alloc(HALF, 3));
    await arriving();
    const ended = server.end('SIGTERM');
    await expect(answer).rejects.toThrow();
    expect(await ended).toBe(0);
    const verdict = await verifyOutside('--data-dir', dataDir, '--database-url', database.url);
    expect(verdict).toMatchObject({ code: 0 });
  });
});
