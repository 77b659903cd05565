import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Boots what was built on fresh data directories: the server as `npm start` would, which stores a file
 * and reads it back, and the event bus, which takes an event; and stops each with SIGTERM. Compiled
 * ESM fails in ways that tests do not show.
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

/** Starts a program, lets `use` have it, and sees to it that SIGTERM ends it well. */
async function boot(
  program: string,
  use: (url: string, headers: Record<string, string>) => Promise<void>,
): Promise<void> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'varve-boot-'));
  const port = await freePort();
  const child = spawn(process.execPath, [path.join(import.meta.dirname, '../src', program)], {
    env: {
      ...process.env,
      DATA_DIR: dataDir,
      PORT: String(port),
      ADMIN_TOKEN: TOKEN,
      LOG_LEVEL: 'warn',
    },
    stdio: 'inherit',
  });
  const exited = once(child, 'exit');
  try {
    const url = `http://127.0.0.1:${port}`;
    await untilReady(url, () => child.exitCode === null);
    await use(url, { Authorization: `Bearer ${TOKEN}` });
  } finally {
    child.kill('SIGTERM');
    const [code] = (await exited) as [number | null];
    await rm(dataDir, { recursive: true, force: true });
    if (code !== 0) {
      process.exitCode = 1;
      console.error(`${program} ended with ${code}`);
    }
  }
}

await boot('main.js', async (url, headers) => {
  const stored = await fetch(`${url}/api/v1/files?name=boot.txt`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'text/plain' },
    body: 'it boots',
  });
  if (stored.status !== 201) throw new Error(`storing answered ${stored.status}`);
  const { id } = (await stored.json()) as { id: number };
  const read = await fetch(`${url}/api/v1/files/${id}/content`, { headers });
  if ((await read.text()) !== 'it boots') throw new Error('the bytes came back changed');
});

await boot('event-bus.main.js', async (url, headers) => {
  const published = await fetch(`${url}/api/v1/events`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: JSON.stringify({ type: 'boot.checked', data: {} }),
  });
  if (published.status !== 201) throw new Error(`publishing answered ${published.status}`);
});
