import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A server that the demo speaks to. */
export interface DemoServer {
  readonly url: string;
  readonly token: string;
  stop(): Promise<void>;
}

/** Starts the built server on a free port, with a database and a data directory that go with it. */
export async function startOwnServer(): Promise<DemoServer> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'varve-demo-'));
  const token = randomBytes(24).toString('base64url');
  const child = spawn(process.execPath, ['dist/src/main.js'], {
    env: {
      ...process.env,
      PORT: '0',
      DATA_DIR: dataDir,
      ADMIN_TOKEN: token,
      LOG_LEVEL: 'error',
      // Empty counts as none: whatever server the environment means, this one is the demo's own.
      HOST: '',
      DATABASE_URL: '',
      STORAGE_URL: '',
      EVENT_BUS_URL: '',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const address = /serves on (http:\/\/\S+)/.exec(output)?.[1];
        if (address) resolve(address);
      });
    }
    void ended.then(() => reject(new Error(`The server did not start:\n${output}`)));
  });
  return {
    url,
    token,
    async stop() {
      child.kill('SIGTERM');
      await ended;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
