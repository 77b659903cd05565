import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { run, type Runner, type TaskList } from 'graphile-worker';
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Counter } from 'prom-client';
import { DataSource } from 'typeorm';
import type { JobHandler } from '../../core/contracts/job-queue.js';
import type { JobId } from '../../core/ids.js';
import { CONFIG, type Config } from '../config/config.js';
import { RequestContext } from '../logging/request-context.js';
import { Metrics } from '../metrics/metrics.js';
import { GraphileJobQueue } from './graphile-job-queue.js';
import { JobFailures } from './job-failures.js';
import { beat, lostRuns, signOff, takeOver } from './job-leases.js';
import { openJobPool, queueLogger } from './job-pool.js';
import { JobRun, RunLost, type QueueJob, type QueuePayload } from './job-run.js';

const HEARTBEAT_MS = 5_000;
const TAKE_OVER_MS = 10_000;
const CANCELLATION_MS = 500;
const RESTART_MS = 1_000;
/** How long a handler may take to end once its signal is aborted. */
const STOP_MS = 10_000;
const POOL_SIZE = 4;

type Outcome = 'completed' | 'retried' | 'failed' | 'lost' | 'interrupted';

/** Does the jobs of this process, and watches over those of the others. */
@Injectable()
export class JobRunner implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(JobRunner.name);
  private readonly ended: Counter<'kind' | 'outcome'>;
  private readonly runs = new Set<JobRun>();
  private readonly stopping = new AbortController();
  private readonly pool: Pool;
  private loops: Promise<unknown> = Promise.resolve();
  /** graphile-worker's name for this process; a new one after each restart of its pool. */
  private workerId: string | null = null;

  constructor(
    private readonly queue: GraphileJobQueue,
    @Inject(CONFIG) private readonly config: Pick<Config, 'JOB_CONCURRENCY'>,
    private readonly failures: JobFailures,
    dataSource: DataSource,
    metrics: Metrics,
  ) {
    this.pool = openJobPool((dataSource.options as { url: string }).url, POOL_SIZE);
    this.ended = metrics.counter('varve_job_attempts_total', 'Attempts at jobs, by their end', [
      'kind',
      'outcome',
    ]);
  }

  onApplicationBootstrap(): void {
    for (const { task } of this.queue.schedule) {
      if (!this.queue.handlers.has(task)) throw new Error(`No handler for jobs of kind ${task}.`);
    }
    this.loops = Promise.all([
      this.keepRunning(),
      this.repeat(HEARTBEAT_MS, () => this.beat()),
      this.repeat(TAKE_OVER_MS, () => this.takeOver()),
      this.repeat(CANCELLATION_MS, () =>
        this.orWarn('look for cancelled jobs', () => this.dropLostRuns()),
      ),
    ]);
  }

  /** Lets the running handlers end, gives their jobs back, and signs off. */
  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    for (const job of this.runs) job.abort(new Error('The server stops.'));
    const waited = new AbortController();
    await Promise.race([
      this.loops.finally(() => waited.abort()),
      sleep(STOP_MS, null, { signal: waited.signal }).catch(() => undefined),
    ]);
    const { workerId } = this;
    if (workerId) await this.orWarn('sign off', () => signOff(this.pool, workerId));
    await this.pool.end();
  }

  /** Ends this process's run of a job that has just been cancelled here. */
  drop(jobId: JobId): void {
    for (const job of this.runs) if (job.jobId === jobId) job.abort(new RunLost());
  }

  /** graphile-worker gives up on some errors of the database; then it is started anew. */
  private async keepRunning(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await this.orWarn('run jobs', async () => {
        const runner = await this.start();
        const stop = () => void runner.stop().catch(() => undefined);
        if (this.stopping.signal.aborted) stop();
        this.stopping.signal.addEventListener('abort', stop, { once: true });
        await this.beat();
        await runner.promise;
      });
      await this.pause(RESTART_MS);
    }
  }

  private start(): Promise<Runner> {
    const events = new EventEmitter();
    events.once('pool:create', ({ workerPool }: { workerPool: { id: string } }) => {
      this.workerId = workerPool.id;
    });
    const taskList: TaskList = Object.fromEntries(
      [...this.queue.handlers].map(([kind, handler]) => [
        kind,
        (payload: unknown, { job }: { job: QueueJob }) =>
          this.attempt(kind, handler, payload as QueuePayload, job),
      ]),
    );
    return run({
      pgPool: this.pool,
      concurrency: this.config.JOB_CONCURRENCY,
      noHandleSignals: true,
      logger: queueLogger,
      events,
      taskList,
      parsedCronItems: [...this.queue.schedule],
      // Without a delay graphile-worker does not wait for these writes, and an error in one ends
      // the process; with one, even of nothing, it tries them again.
      preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
    });
  }

  /** @throws what the handler threw, where graphile-worker is to try again later */
  private async attempt(
    kind: string,
    handler: JobHandler,
    payload: QueuePayload,
    queueJob: QueueJob,
  ): Promise<void> {
    const job = await JobRun.begin(this.pool, kind, payload, queueJob);
    if (!job) return;
    const end = (outcome: Outcome) => this.ended.inc({ kind, outcome });
    this.runs.add(job);
    try {
      const work = () => handler(job.payload, job.context);
      const result = await RequestContext.run(job.correlationId, work, job.caller);
      if (await job.complete(result ?? null)) return end('completed');
    } catch (error) {
      if (job.aborted && this.stopping.signal.aborted) {
        await job.putBack();
        return end('interrupted');
      }
      if (await job.fail(error)) {
        this.logger.warn({ err: error, kind, jobId: job.jobId }, 'An attempt at a job failed');
        if (job.isFinal(error)) {
          await this.tellFailures();
          return end('failed');
        }
        end('retried');
        throw error;
      }
    } finally {
      this.runs.delete(job);
    }
    end('lost');
    // Returning tells graphile-worker to forget its job; where that is another's now, it must not.
    if (!(await job.isOver())) throw new RunLost();
  }

  private async dropLostRuns(): Promise<void> {
    if (this.runs.size === 0) return;
    for (const job of await lostRuns(this.pool, [...this.runs])) job.abort(new RunLost());
  }

  private async takeOver(): Promise<void> {
    await this.orWarn('take jobs over', () => takeOver(this.pool));
    await this.tellFailures();
  }

  private tellFailures(): Promise<void> {
    return this.orWarn('tell of failed jobs', () => this.failures.tellAll());
  }

  private async beat(): Promise<void> {
    const { workerId } = this;
    if (workerId) await this.orWarn('tell that it lives', () => beat(this.pool, workerId));
  }

  private async repeat(periodMs: number, work: () => Promise<void>): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await work();
      await this.pause(periodMs);
    }
  }

  private async orWarn(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.warn({ err: error }, `The job runner could not ${what}`);
    }
  }

  private async pause(ms: number): Promise<void> {
    await sleep(ms, null, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
  }
}
