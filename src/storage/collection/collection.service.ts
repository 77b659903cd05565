import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { HandlesEvent } from '../../core/events/handles-event.decorator.js';
import type { JobId, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { SqlStorageQuotas } from '../quotas/sql-storage-quotas.js';
import { Collector } from './collector.js';

const COLLECT = 'storage.collect';

/** Collects garbage as a job: when its time comes, and when an administrator asks. */
@Injectable()
export class CollectionService implements OnModuleInit {
  private readonly freed: Counter;

  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'GC_SCHEDULE'>,
    private readonly collector: Collector,
    private readonly quotas: SqlStorageQuotas,
    metrics: Metrics,
  ) {
    this.freed = metrics.counter(
      'varve_collected_bytes_total',
      'Bytes that garbage collection has freed',
    );
  }

  onModuleInit(): void {
    this.jobs.define(COLLECT, (_, context) => this.collect(context));
    this.jobs.every(COLLECT, this.config.GC_SCHEDULE);
  }

  /** Enqueues a run; one that waits already becomes this one. */
  start(createdBy: UserId): Promise<JobId> {
    return this.unitOfWork.run((tx) =>
      this.jobs.enqueue(tx, COLLECT, {}, { createdBy, key: COLLECT }),
    );
  }

  /** What was purged must not wait for the schedule. */
  @HandlesEvent('dataset.content.purged', { name: 'storage.collect-purged' })
  async onPurged(): Promise<void> {
    await this.unitOfWork.run((tx) => this.jobs.enqueue(tx, COLLECT, {}, { key: COLLECT }));
  }

  private async collect(job: JobContext): Promise<JsonObject> {
    const report = await this.collector.run(job.signal, (percent, message) =>
      job.progress(percent, message),
    );
    this.freed.inc(report.bytesFreed);
    await this.unitOfWork.run((tx) => this.quotas.forgetCharges(tx));
    return { ...report };
  }
}
