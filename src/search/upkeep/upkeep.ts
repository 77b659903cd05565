import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import type { Gauge } from 'prom-client';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { HandlesEvent } from '../../core/events/handles-event.decorator.js';
import type { DatasetId, JobId, UserId } from '../../core/ids.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { GroupCommit } from '../../platform/database/group-commit.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { Indexer } from './indexer.js';
import { countPending, mark } from './pending.js';
import { Rebuild } from './rebuild.js';

const UPDATE = 'search.update';
const REBUILD = 'search.rebuild';

/** Grows when words are cut up or weighed in another way than before: older documents are made anew. */
const ANALYSIS = 1;

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

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(CONFIG) config: Pick<Config, 'SEARCH_LANGUAGES'>,
    private readonly indexer: Indexer,
    private readonly rebuild: Rebuild,
    metrics: Metrics,
  ) {
    this.analysis = [ANALYSIS, ...config.SEARCH_LANGUAGES.toSorted()].join(' ');
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

  /** Where the words of the index were made in another way than they are looked for now, once. */
  async onApplicationBootstrap(): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const changed = await tx.query<{ isNew: boolean }>(
        `INSERT INTO search_state (analysis) VALUES ($1)
         ON CONFLICT (id) DO UPDATE SET analysis = excluded.analysis
           WHERE search_state.analysis <> excluded.analysis
         RETURNING xmax = 0 AS "isNew"`,
        [this.analysis],
      );
      if (changed.some(({ isNew }) => !isNew)) await this.enqueueRebuild(tx, null);
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

  private enqueueRebuild(tx: Tx, createdBy: UserId | null): Promise<JobId> {
    return this.jobs.enqueue(tx, REBUILD, {}, { createdBy, key: REBUILD });
  }

  private async mark(datasets: readonly DatasetId[]): Promise<PromiseSettledResult<void>[]> {
    await this.unitOfWork.run(async (tx) => {
      await mark(tx, datasets);
      await this.jobs.enqueue(tx, UPDATE, {}, { key: UPDATE });
    });
    return datasets.map(() => ({ status: 'fulfilled', value: undefined }));
  }

  private async update(signal: AbortSignal): Promise<{ indexed: number }> {
    return { indexed: await this.indexer.drain(signal) };
  }

  private async runRebuild(job: JobContext): Promise<{ datasets: number }> {
    return this.rebuild.run(job.signal, (percent, message) => job.progress(percent, message));
  }
}
