import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

/**
 * Starts the run's PostgreSQL. It gets a process of its own, which ends with this one: Jest loads
 * this file as CommonJS, where the sources cannot be imported, and may be killed before it tears
 * down.
 */
export default async function setup(): Promise<void> {
  const root = process.cwd();
  const server = spawn(
    process.execPath,
    ['--import', './test/typescript.mjs', path.join('test', 'database', 'server.ts')],
    // Not in the terminal's process group: after a Ctrl-C it still cleans up.
    { cwd: root, stdio: ['pipe', 'pipe', 'inherit'], detached: true },
  );
  const url = await new Promise<string>((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', (code) =>
      reject(new Error(`The test database server ended with exit code ${code}.`)),
    );
    createInterface(server.stdout).once('line', (line) =>
      resolve((JSON.parse(line) as { url: string }).url),
    );
  });
  process.env['VARVE_TEST_SERVER_URL'] = url;
  Object.assign(globalThis, { varveTestServer: server });
}
