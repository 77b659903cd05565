import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { JOB_QUEUE, type JobQueue } from '../core/contracts/job-queue.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { QueueHandlers } from './queue-handlers.js';
import { QueueStore, type QueueTotals } from './queue-store.js';

const FORGET = 'queue.forget';

const COUNTERS = {
  added: ['varve_queue_tasks_added_total', 'Tasks that were put into the queue'],
  processed: ['varve_queue_tasks_processed_total', 'Tasks that were processed'],
  waits: ['varve_queue_waits_total', 'Tasks of which it is known how long they waited'],
  wait_seconds: ['varve_queue_wait_seconds_total', 'For how long these waited, all together'],
} as const;

/** Queues that events tell of: their depth, how long tasks wait, and how many go through. */
@Module({ providers: [QueueHandlers, QueueStore] })
export class QueueModule implements OnModuleInit {
  constructor(
    private readonly queues: QueueStore,
    private readonly metrics: Metrics,
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(CONFIG) private readonly config: Pick<Config, 'EVENT_RETENTION'>,
  ) {}

  onModuleInit(): void {
    this.metrics.addStore(async (registry) => show(await this.queues.totals(), registry));
    this.jobs.define(FORGET, async (_, { signal }) => ({
      tasks: await this.queues.forget(this.config.EVENT_RETENTION, signal),
    }));
    this.jobs.every(FORGET, '31 * * * *');
  }
}

function show(queues: readonly QueueTotals[], registry: Registry): void {
  const labelNames = ['queue'];
  const registers = [registry];
  const depth = new Gauge({
    name: 'varve_queue_depth',
    help: 'Tasks that wait',
    labelNames,
    registers,
  });
  for (const { queue, depth: waiting } of queues) depth.set({ queue }, waiting);
  for (const [column, [name, help]] of Object.entries(COUNTERS)) {
    const counter = new Counter({ name, help, labelNames, registers });
    for (const totals of queues) {
      counter.inc({ queue: totals.queue }, totals[column as keyof typeof COUNTERS]);
    }
  }
}
