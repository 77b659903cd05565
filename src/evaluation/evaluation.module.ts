import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { JOB_QUEUE, type JobQueue } from '../core/contracts/job-queue.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { EvaluationHandlers } from './evaluation-handlers.js';
import { EvaluationStore } from './evaluation-store.js';

const FORGET = 'evaluation.forget';

/** Evaluations that events tell of: counted, their results stored, failed ones tried again. */
@Module({ providers: [EvaluationHandlers, EvaluationStore] })
export class EvaluationModule implements OnModuleInit {
  constructor(
    private readonly evaluations: EvaluationStore,
    private readonly metrics: Metrics,
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(CONFIG) private readonly config: Pick<Config, 'EVALUATION_RETENTION'>,
  ) {}

  onModuleInit(): void {
    this.metrics.addStore(async (registry) => {
      const { active, completed, failed } = await this.evaluations.counts();
      const gauge = (name: string, help: string, value: number) =>
        new Gauge({ name, help, registers: [registry] }).set(value);
      gauge('varve_evaluations_active', 'Evaluations that have begun and not ended', active);
      gauge('varve_evaluations_completed', 'Evaluations that have had a result', completed);
      gauge('varve_evaluations_failed', 'Failures of evaluations, retried ones too', failed);
    });
    this.jobs.define(FORGET, async (_, { signal }) => ({
      evaluations: await this.evaluations.forget(this.config.EVALUATION_RETENTION, signal),
    }));
    this.jobs.every(FORGET, '29 * * * *');
  }
}
