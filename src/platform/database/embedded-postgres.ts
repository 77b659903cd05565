import { mkdir, realpath } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { accountFor } from './embedded/account.js';
import { findPackage, runnablePrograms } from './embedded/binaries.js';
import { clusterDirOf, homeOf, openCluster, urlsOf } from './embedded/cluster.js';
import {
  clearLeftovers,
  type Postmaster,
  PostmasterFailed,
  startPostmaster,
  stopPostmaster,
} from './embedded/postmaster.js';

/** Where the embedded server tells what befalls it. */
export interface DatabaseLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface EmbeddedPostgresOptions {
  /** Holds the cluster in `postgres`. The caller has locked it (`lockDataDir`). */
  readonly dataDir: string;
  readonly log: DatabaseLog;
  /** Off only for databases that may be lost in a power cut, such as a test's. */
  readonly fsync?: boolean;
}

/** A PostgreSQL server that runs as long as this process, and is restarted should it die. */
export interface EmbeddedPostgres {
  /** Of Varve's database, as its owner. The same until it is stopped. */
  readonly url: string;
  /** Of the maintenance database, as superuser. */
  readonly adminUrl: string;
  /** Ends running transactions and stops the server; harmless when repeated. */
  stop(): Promise<void>;
}

const START_ATTEMPTS = 5;
const LONGEST_RESTART_DELAY_MS = 10_000;
/** A server that dies sooner than this has failed again, rather than for the first time. */
const STABLE_MS = 10_000;

/**
 * Starts PostgreSQL on the cluster in a data directory, which is made first where there is none.
 * What a killed process left running there is stopped, and crash recovery is awaited.
 * @throws EmbeddedPostgresUnavailable, PostmasterFailed
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const { log, fsync = true } = options;
  await mkdir(options.dataDir, { recursive: true });
  const dataDir = await realpath(options.dataDir);
  const home = homeOf(dataDir);
  const account = await accountFor(clusterDirOf(home));
  const programsCache = path.join(dataDir, 'postgres-programs');
  const binaries = await runnablePrograms(await findPackage(), account, programsCache);
  const cluster = await openCluster(home, binaries, account, { fsync });
  if (await clearLeftovers(cluster, binaries)) {
    log.warn('Stopped a PostgreSQL that an earlier process had left running.');
  }

  const server = new Supervisor(log, {
    start: (port) =>
      startPostmaster(cluster, binaries, account, {
        port,
        fsync,
        onRecovery: () => log.info('Waiting for PostgreSQL to recover from a crash.'),
      }),
    stop: (postmaster) => stopPostmaster(postmaster, binaries),
    clear: () => clearLeftovers(cluster, binaries),
  });
  const port = await server.start();
  return { ...urlsOf(port, cluster.credentials), stop: () => server.stop() };
}

interface ServerActions {
  start(port: number): Promise<Postmaster>;
  stop(postmaster: Postmaster): Promise<void>;
  clear(): Promise<unknown>;
}

/** Keeps one server running, on one port, until it is told to stop. */
class Supervisor {
  private readonly log: DatabaseLog;
  private readonly actions: ServerActions;
  private readonly stopping = new AbortController();
  private postmaster: Postmaster | null = null;
  private supervision: Promise<void> = Promise.resolve();

  constructor(log: DatabaseLog, actions: ServerActions) {
    this.log = log;
    this.actions = actions;
  }

  /** @returns the port */
  async start(): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      try {
        this.postmaster = await this.actions.start(port);
        process.once('exit', this.stopOnExit);
        this.supervision = this.supervise(port);
        return port;
      } catch (error) {
        // Somebody may have taken the port in between.
        const portTaken = error instanceof PostmasterFailed && error.portTaken;
        if (!portTaken || attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.postmaster !== null) await this.actions.stop(this.postmaster);
    await this.supervision;
    process.off('exit', this.stopOnExit);
  }

  private async supervise(port: number): Promise<void> {
    let failures = 0;
    while (this.postmaster !== null) {
      const startedAt = performance.now();
      const outcome = await this.postmaster.ended;
      this.postmaster = null;
      if (this.stopping.signal.aborted) return;
      this.log.error(`PostgreSQL ended with ${outcome}; restarting it.`);
      failures = performance.now() - startedAt < STABLE_MS ? failures + 1 : 0;
      this.postmaster = await this.restart(port, failures);
    }
  }

  private async restart(port: number, failuresBefore: number): Promise<Postmaster | null> {
    for (let failures = failuresBefore; ; failures++) {
      await sleep(restartDelayMs(failures), null, this.stopping).catch(() => null);
      if (this.stopping.signal.aborted) return null;
      try {
        await this.actions.clear();
        const restarted = await this.actions.start(port);
        if (!this.stopping.signal.aborted) {
          this.log.info('PostgreSQL runs again.');
          return restarted;
        }
        await this.actions.stop(restarted);
      } catch (error) {
        this.log.error(`PostgreSQL could not be restarted: ${(error as Error).message}`);
      }
    }
  }

  /** The last resort where nobody calls `stop`: an uncaught exception, or `process.exit()`. */
  private readonly stopOnExit = (): void => {
    if (this.postmaster === null) return;
    try {
      process.kill(this.postmaster.pid, 'SIGINT');
    } catch {
      // It has just ended by itself.
    }
  };
}

/** At once the first time, then ever longer. */
function restartDelayMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(100 * 2 ** (failures - 1), LONGEST_RESTART_DELAY_MS);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
