import { CannotStart } from '../../../core/cannot-start.js';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Account } from './account.js';
import type { Binaries } from './binaries.js';
import { type Cluster, PROGRAM_ENVIRONMENT } from './cluster.js';
import { clusterNameOf, processesOn, readPidFile } from './processes.js';

const POLL_MS = 20;
const LOG_LIMIT_BYTES = 16 * 1024 * 1024;

/** How long each way of stopping may take before the next, harder one. */
export interface StopLimits {
  readonly fastMs: number;
  readonly immediateMs: number;
}

export const STOP_LIMITS: StopLimits = { fastMs: 20_000, immediateMs: 5_000 };

/** A server process that this process started. */
export interface Postmaster {
  readonly pid: number;
  /** Settles when it has ended, with how. */
  readonly ended: Promise<string>;
}

/** The server did not come up; the message ends with what it said. */
export class PostmasterFailed extends CannotStart {
  override readonly name = 'PostmasterFailed';

  get portTaken(): boolean {
    return this.message.includes('Address already in use');
  }
}

/**
 * Starts a server and waits until it takes connections, however long it recovers from a crash.
 * It runs in a session of its own: a Ctrl-C in the terminal is for us, who stop it when we are
 * done with it.
 *
 * @param onRecovery is called every few seconds while it is not ready
 * @throws PostmasterFailed
 */
export async function startPostmaster(
  cluster: Cluster,
  binaries: Binaries,
  account: Account | null,
  options: { port: number; fsync: boolean; onRecovery: () => void },
): Promise<Postmaster> {
  const clusterName = await clusterNameOf(cluster.dir);
  await rotateLog(cluster.logFile);
  const log = await open(cluster.logFile, 'a', 0o600);
  const logStart = (await log.stat()).size;
  const child = spawn(
    binaries.postgres,
    ['-D', cluster.dirArgument, ...settings(options.port, options.fsync, clusterName)],
    {
      cwd: cluster.dir,
      env: PROGRAM_ENVIRONMENT,
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      ...(account ?? {}),
    },
  );
  // Listened to from the first moment: it may end before anything here is awaited.
  const end: { outcome: string | null } = { outcome: null };
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      end.outcome = signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve(end.outcome);
    });
  });
  await once(child, 'spawn').finally(() => log.close());
  // The server outlives an event loop with nothing else to do; `ended` alone keeps nobody.
  child.unref();

  for (let polls = 1; end.outcome === null; polls++) {
    const state = await readPidFile(cluster.dir);
    if (state?.pid === child.pid && state?.status === 'ready') return { pid: child.pid!, ended };
    if ((polls * POLL_MS) % 5_000 === 0) options.onRecovery();
    await sleep(POLL_MS);
  }
  const said = (await readFile(cluster.logFile)).subarray(logStart).toString().trim();
  throw new PostmasterFailed(`PostgreSQL ended with ${end.outcome}: ${lastLines(said)}`);
}

/** For a small server: its own, beside Node on one machine, with at most a few replicas. */
function settings(port: number, fsync: boolean, clusterName: string): string[] {
  const chosen: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    cluster_name: clusterName,
    max_connections: '100',
    shared_buffers: '128MB',
    max_wal_size: '1GB',
    checkpoint_timeout: '15min',
    wal_compression: 'on',
    // Nobody waits for a query whose client has died.
    client_connection_check_interval: '5s',
    // Short queries gain nothing by it.
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // A failed statement is told to whoever sent it; here only what concerns the server itself.
    log_min_messages: 'log',
    log_checkpoints: 'off',
    ...(fsync ? {} : { fsync: 'off', full_page_writes: 'off' }),
  };
  return Object.entries(chosen).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Fast shutdown (running transactions are rolled back), then immediate, then none at all. */
export async function stopPostmaster(
  postmaster: Postmaster,
  binaries: Binaries,
  limits: StopLimits = STOP_LIMITS,
): Promise<void> {
  const { pid, ended } = postmaster;
  for (const [signal, limitMs] of escalation(limits)) {
    await sendSignal(pid, signal, binaries);
    const timeout = new AbortController();
    const stopped = await Promise.race([
      ended.then(() => true),
      sleep(limitMs, false, { signal: timeout.signal }).catch(() => true),
    ]);
    timeout.abort();
    if (stopped) return;
  }
  await ended;
}

/**
 * Stops what an earlier process left running in a cluster, and takes away the pid file that would
 * keep a new server from starting. Whoever calls this holds the data directory.
 * @returns whether anything was running
 */
export async function clearLeftovers(
  cluster: Cluster,
  binaries: Binaries,
  limits: StopLimits = STOP_LIMITS,
): Promise<boolean> {
  const found = await processesOn(cluster.dir);
  let running = found;
  for (const [signal, limitMs] of escalation(limits)) {
    for (const { pid, isPostmaster } of running) {
      // A postmaster stops its backends. One that has outlived it takes SIGINT for a mere cancel.
      if (isPostmaster || !running.some((process) => process.isPostmaster)) {
        await sendSignal(pid, !isPostmaster && signal === 'SIGINT' ? 'SIGTERM' : signal, binaries);
      }
    }
    for (let waited = 0; running.length > 0 && waited < limitMs; waited += POLL_MS) {
      await sleep(POLL_MS);
      running = await processesOn(cluster.dir);
    }
  }
  // Nothing of this cluster runs, so whatever process the file names is somebody else's.
  await rm(path.join(cluster.dir, 'postmaster.pid'), { force: true });
  return found.length > 0;
}

function escalation({ fastMs, immediateMs }: StopLimits): [NodeJS.Signals, number][] {
  return [
    ['SIGINT', fastMs],
    ['SIGQUIT', immediateMs],
    ['SIGKILL', immediateMs],
  ];
}

async function sendSignal(pid: number, signal: NodeJS.Signals, binaries: Binaries): Promise<void> {
  if (process.platform === 'win32') {
    // Windows has no signals; PostgreSQL listens on a pipe instead.
    const name = signal.replace('SIG', '');
    await promisify(execFile)(binaries.pgCtl, ['kill', name, String(pid)]).catch(() => undefined);
    return;
  }
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function rotateLog(logFile: string): Promise<void> {
  const size = await stat(logFile).then(
    ({ size }) => size,
    () => 0,
  );
  if (size > LOG_LIMIT_BYTES) await rename(logFile, `${logFile}.old`);
}

function lastLines(text: string): string {
  return text.split('\n').slice(-8).join('\n');
}
