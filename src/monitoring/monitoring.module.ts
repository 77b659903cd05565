import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { JOB_QUEUE, type JobQueue } from '../core/contracts/job-queue.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { MonitoringHandlers } from './monitoring-handlers.js';
import { RecordedMetrics } from './recorded-metrics.js';

const FORGET = 'monitoring.forget';

/** Measurements that events bring, as Prometheus series. */
@Module({ providers: [MonitoringHandlers, RecordedMetrics] })
export class MonitoringModule implements OnModuleInit {
  constructor(
    private readonly recorded: RecordedMetrics,
    private readonly metrics: Metrics,
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
  ) {}

  onModuleInit(): void {
    this.metrics.addStore((registry) => this.recorded.show(registry));
    this.jobs.define(FORGET, async () => ({ series: await this.recorded.forget() }));
    this.jobs.every(FORGET, '37 * * * *');
  }
}
