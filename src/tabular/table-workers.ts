import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { CONFIG, type Config } from '../platform/config/config.js';
import { TableCache } from './table-cache.js';
import { WorkerPool, type PoolOptions } from './worker/worker-pool.js';

const MAX_THREADS = 4;
/** How many requests wait for a worker before others are told to come back. */
const QUEUE = 64;
/** What a process that has ended left behind is taken away once it is so old. */
const ABANDONED_MS = 24 * 3_600_000;

/** The processes that read tables: some for requests, and others for jobs, which never stand in their way. */
@Injectable()
export class TableWorkers implements OnApplicationShutdown {
  readonly requests: WorkerPool;
  /** Queries may take long and be read slowly: they have workers of their own. */
  readonly queries: WorkerPool;
  readonly jobs: WorkerPool;
  readonly cache: TableCache;
  private readonly scratchDir: string;

  constructor(@Inject(CONFIG) config: Config) {
    const root = path.join(config.DATA_DIR, 'tables');
    this.cache = new TableCache(path.join(root, 'cache'), config.TABLE_CACHE_BYTES);
    this.scratchDir = path.join(root, 'scratch', randomUUID());
    const common: Omit<PoolOptions, 'size' | 'timeoutMs' | 'queue'> = {
      memoryBytes: config.TABLE_WORKER_MEMORY_BYTES,
      threads: config.TABLE_WORKER_THREADS || Math.min(MAX_THREADS, availableParallelism()),
      scratchBytes: config.TABLE_SCRATCH_BYTES,
      scratchDir: this.scratchDir,
    };
    this.requests = new WorkerPool({
      ...common,
      size: config.TABLE_WORKERS,
      queue: QUEUE,
      timeoutMs: config.TABLE_TIMEOUT,
    });
    this.queries = new WorkerPool({
      ...common,
      size: config.TABLE_WORKERS,
      queue: QUEUE,
      timeoutMs: config.QUERY_TIMEOUT,
    });
    this.jobs = new WorkerPool({
      ...common,
      size: Math.ceil(config.TABLE_WORKERS / 2),
      // Jobs wait as long as they must: the queue of jobs has let only so many begin.
      queue: Infinity,
      timeoutMs: config.TABLE_JOB_TIMEOUT,
    });
  }

  /** Takes away what earlier processes left, and has a worker ready before anybody asks. */
  async warm(): Promise<void> {
    await this.removeAbandoned();
    await this.requests.warm();
  }

  async onApplicationShutdown(): Promise<void> {
    this.cache.close();
    await Promise.all([this.requests, this.queries, this.jobs].map((pool) => pool.close()));
    await rm(this.scratchDir, { recursive: true, force: true });
  }

  private async removeAbandoned(): Promise<void> {
    const root = path.dirname(this.scratchDir);
    await mkdir(root, { recursive: true, mode: 0o700 });
    for (const name of await readdir(root)) {
      const stats = await stat(path.join(root, name)).catch(() => null);
      if (stats && Date.now() - stats.mtimeMs > ABANDONED_MS) {
        await rm(path.join(root, name), { recursive: true, force: true });
      }
    }
  }
}
