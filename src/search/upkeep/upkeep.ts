import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import type { Gauge } from 'prom-client';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { HandlesEvent } from '../../core/events/handles-event.decorator.js';
import type { DatasetId, JobId, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { GroupCommit } from '../../platform/database/group-commit.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { adoptAnalysis, analysisOf, isCurrent } from './analysis.js';
import { DutyCycle } from './duty-cycle.js';
import { Indexer } from './indexer.js';
import { countPending, mark } from './pending.js';
import { Rebuild } from './rebuild.js';

const UPDATE = 'search.update';
const REBUILD = 'search.rebuild';

/** How long a job waits that this replica, which cuts words in another way, leaves to others. */
const LEFT_TO_OTHERS_MS = 2_000;

const FIRST_REBUILD_DELAY_MS = 1_000;

/**
 * Keeps the index up to date: what happens to a dataset marks it, and a job makes the documents of
 * all that are marked. Marks outlive whoever made them, so nothing depends on the job that was set
 * off with them.
 */
@Injectable()
export class SearchUpkeep implements OnModuleInit, OnApplicationBootstrap {
  /** All that happens at a moment is marked with one transaction, and sets off one job. */
  private readonly marks = new GroupCommit<DatasetId, void>((group) => this.mark(group), {
    items: 500,
    groups: 1,
  });
  private readonly analysis: string;
  private readonly dutyCycle = new DutyCycle();

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(CONFIG) config: Pick<Config, 'SEARCH_LANGUAGES'>,
    private readonly indexer: Indexer,
    private readonly rebuild: Rebuild,
    metrics: Metrics,
  ) {
    this.analysis = analysisOf(config);
    metrics.gauge(
      'varve_search_pending',
      'Datasets that wait to be indexed',
      [],
      async (gauge: Gauge) =>
        gauge.set(await unitOfWork.read(countPending).catch(() => Number.NaN)),
    );
  }

  onModuleInit(): void {
    this.jobs.define(UPDATE, (_, { signal }) => this.update(signal));
    this.jobs.define(REBUILD, (_, job) => this.runRebuild(job));
    // For what a claim that died with its process has left, and what could not be indexed.
    this.jobs.every(UPDATE, '*/2 * * * *');
  }

  /** Makes the index of a database that has none yet, or has one whose words were cut otherwise. */
  async onApplicationBootstrap(): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      if (!(await adoptAnalysis(tx, this.analysis))) return;
      // Later than the subscription, so that nothing falls between the two.
      await this.enqueueRebuild(tx, null, FIRST_REBUILD_DELAY_MS);
    });
  }

  @HandlesEvent('dataset.**', { name: 'search.upkeep' })
  async onDataset({ data }: DomainEvent): Promise<void> {
    if ('datasetId' in data) await this.marks.submit(data.datasetId as DatasetId);
  }

  /** Enqueues a rebuild; one that waits already becomes this one. */
  startRebuild(createdBy: UserId): Promise<JobId> {
    return this.unitOfWork.run((tx) => this.enqueueRebuild(tx, createdBy));
  }

  private enqueueRebuild(tx: Tx, createdBy: UserId | null, delayMs = 0): Promise<JobId> {
    return this.jobs.enqueue(tx, REBUILD, {}, { createdBy, key: REBUILD, delayMs });
  }

  private async mark(datasets: readonly DatasetId[]): Promise<PromiseSettledResult<void>[]> {
    await this.unitOfWork.run(async (tx) => {
      await mark(tx, datasets);
      await this.enqueueUpdate(tx);
    });
    return datasets.map(() => ({ status: 'fulfilled', value: undefined }));
  }

  private async update(signal: AbortSignal): Promise<{ indexed: number }> {
    if (await this.leaveToOthers(UPDATE)) return { indexed: 0 };
    if (this.dutyCycle.restMs > 0) {
      // Set off before the last one ended.
      await this.unitOfWork.run((tx) => this.enqueueUpdate(tx));
      return { indexed: 0 };
    }
    return { indexed: await this.dutyCycle.run(() => this.indexer.drain(signal)) };
  }

  /** Once the last update has rested: one that waits already becomes this one. */
  private enqueueUpdate(tx: Tx): Promise<JobId> {
    const delayMs = Math.ceil(this.dutyCycle.restMs);
    return this.jobs.enqueue(tx, UPDATE, {}, { key: UPDATE, isTransient: true, delayMs });
  }

  private async runRebuild(job: JobContext): Promise<JsonObject> {
    if (await this.leaveToOthers(REBUILD)) return { leftToAnotherReplica: true };
    const report = await this.rebuild.run(job.signal, (percent, message) =>
      job.progress(percent, message),
    );
    return { ...report };
  }

  /** While replicas with an older setting still run, those with the newer one make the documents. */
  private leaveToOthers(kind: string): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      if (await isCurrent(tx, this.analysis)) return false;
      await this.jobs.enqueue(tx, kind, {}, { key: kind, delayMs: LEFT_TO_OTHERS_MS });
      return true;
    });
  }
}
