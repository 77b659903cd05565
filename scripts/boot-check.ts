import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Boots the built server on a fresh data directory as `npm start` would, stores a file through it,
 * reads that back, and stops it with SIGTERM. Compiled ESM fails in ways that tests do not show.
 */
const TOKEN = 'boot-check-administrator';

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || !address) throw new Error('no port');
  return address.port;
}

async function untilReady(url: string, alive: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 300 && alive(); attempt++) {
    const answer = await fetch(`${url}/health/ready`).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('the server never became ready');
}

const dataDir = await mkdtemp(path.join(tmpdir(), 'varve-boot-'));
const port = await freePort();
const server = spawn(process.execPath, [path.join(import.meta.dirname, '../src/main.js')], {
  env: {
    ...process.env,
    DATA_DIR: dataDir,
    PORT: String(port),
    ADMIN_TOKEN: TOKEN,
    LOG_LEVEL: 'warn',
  },
  stdio: 'inherit',
});
const exited = once(server, 'exit');
try {
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url, () => server.exitCode === null);
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const stored = await fetch(`${url}/api/v1/files?name=boot.txt`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'text/plain' },
    body: 'it boots',
  });
  if (stored.status !== 201) throw new Error(`storing answered ${stored.status}`);
  const { id } = (await stored.json()) as { id: number };
  const read = await fetch(`${url}/api/v1/files/${id}/content`, { headers });
  if ((await read.text()) !== 'it boots') throw new Error('the bytes came back changed');
} finally {
  server.kill('SIGTERM');
  const [code] = (await exited) as [number | null];
  await rm(dataDir, { recursive: true, force: true });
  if (code !== 0) {
    process.exitCode = 1;
    console.error(`the server ended with ${code}`);
  }
}
