import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import type { DatasetVerification } from '../core/contracts/dataset-verification.js';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId, JobId, UserId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import { ChainVerification } from './verification.js';

const JOB = 'versioning.verify';

/** Proves datasets' histories as jobs: a history may be long. */
@Injectable()
export class VerificationJobs implements DatasetVerification, OnModuleInit {
  private readonly logger = new Logger(VerificationJobs.name);

  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository,
    private readonly chain: ChainVerification,
  ) {}

  onModuleInit(): void {
    this.jobs.define(JOB, ({ datasetId }, context) => this.#run(datasetId as DatasetId, context));
  }

  start(createdBy: UserId, dataset: DatasetId): Promise<JobId> {
    return this.unitOfWork.run(async (tx) => {
      await this.datasets.get(tx, dataset);
      const payload = { datasetId: dataset };
      return this.jobs.enqueue(tx, JOB, payload, { createdBy, key: `dataset-${dataset}` });
    });
  }

  async #run(dataset: DatasetId, job: JobContext): Promise<JsonObject> {
    const report = await this.chain.verify(dataset, (upTo, last) =>
      job.progress((100 * upTo) / Math.max(1, last), `Proved versions up to ${upTo}`),
    );
    if (report.firstFault) {
      this.logger.error({ report }, 'A version is not as its digest says');
    }
    return { ...report };
  }
}
