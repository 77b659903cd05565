import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../../harness/bench.js';
import { ChildProcess, findProgram, freePort } from '../../harness/processes.js';

/** An nginx of our own: an ordinary process on a free port, with all that it writes in one folder. */
export interface Nginx {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * @param directives what its one `server` block says besides where to listen
 * @param modules files of dynamic modules to load
 * @throws LeftOut where nginx is not installed
 */
export async function startNginx(
  bench: Bench,
  name: string,
  directives: readonly string[],
  modules: readonly string[] = [],
): Promise<Nginx> {
  const program = await findProgram('nginx');
  const folder = await bench.folder(name);
  await mkdir(path.join(folder, 'temp'), { recursive: true });
  const port = await freePort();
  const config = path.join(folder, 'nginx.conf');
  await writeFile(config, configText(folder, port, directives, modules));
  const logFile = path.join(folder, 'output.log');
  const server = await ChildProcess.start(
    program,
    ['-p', folder, '-c', config, '-e', 'error.log'],
    {
      logFile,
      ready: /^/,
    },
  );
  await answering(port);
  return { port, stop: () => server.stop() };
}

function configText(
  folder: string,
  port: number,
  directives: readonly string[],
  modules: readonly string[],
): string {
  // As root, nginx would give its workers to somebody who may not enter these folders.
  const user = process.getuid?.() === 0 ? ['user root;'] : [];
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return [
    ...modules.map((module) => `load_module ${module};`),
    ...user,
    'daemon off;',
    'worker_processes auto;',
    `pid ${folder}/nginx.pid;`,
    'events {}',
    'http {',
    'access_log off;',
    'default_type application/octet-stream;',
    ...temporary.map((kind) => `${kind}_temp_path ${folder}/temp/${kind};`),
    `server { listen 127.0.0.1:${port}; ${directives.join(' ')} }`,
    '}',
    '',
  ].join('\n');
}

async function answering(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const reached = await fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    );
    if (reached) return;
    await sleep(50);
  }
  throw new Error('nginx does not answer');
}
