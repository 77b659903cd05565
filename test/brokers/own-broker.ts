import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A broker's process of a test's own, on a port and a store of its own. */
export interface OwnBroker {
  readonly url: string;
  /** Kills it as a power cut would, and starts it again; with its store, or with an empty one. */
  restart(store: 'kept' | 'wiped'): Promise<void>;
  stop(): Promise<void>;
}

interface Program {
  readonly scheme: string;
  readonly file: string;
  readonly args: (port: number, store: string) => string[];
}

const PROGRAMS: readonly Program[] = [
  {
    scheme: 'nats',
    file: 'nats-server',
    args: (port, store) => ['-js', '-a', '127.0.0.1', '-p', String(port), '-sd', store],
  },
  {
    scheme: 'redis',
    file: 'redis-server',
    args: (port, store) =>
      `--bind 127.0.0.1 --port ${port} --dir ${store} --appendonly yes --save ''`.split(' '),
  },
];
const DIRECTORIES = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/usr/bin'];

/** Starts a broker, one of a scheme or whichever is installed; null where none is. */
export async function startOwnBroker(scheme?: string): Promise<OwnBroker | null> {
  for (const program of PROGRAMS) {
    if (scheme !== undefined && program.scheme !== scheme) continue;
    const binary = await findProgram(program.file);
    if (binary !== null) return run(program, binary);
  }
  return null;
}

/** Where a program is, if it is installed. */
export async function findProgram(file: string): Promise<string | null> {
  for (const directory of DIRECTORIES) {
    const candidate = path.join(directory, file);
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return null;
}

async function run({ scheme, args }: Program, binary: string): Promise<OwnBroker> {
  const store = await mkdtemp(path.join(tmpdir(), 'varve-broker-'));
  const port = await freePort();
  const start = async (): Promise<ChildProcess> => {
    const started = spawn(binary, args(port, store), { stdio: 'ignore', cwd: store });
    await once(started, 'spawn');
    return started;
  };
  let child = await start();
  const kill = async () => {
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  };
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    async restart(which) {
      await kill();
      if (which === 'wiped') {
        await rm(store, { recursive: true });
        await mkdir(store);
      }
      child = await start();
    },
    async stop() {
      await kill();
      await rm(store, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
