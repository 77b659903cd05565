import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId, JobId, UserId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { RetentionPreviews } from './retention-preview.js';
import { Retention, type RetentionRules } from './retention.js';
import { Sweep } from './sweep.js';

const APPLY = 'versioning.apply-retention';
const PREVIEW = 'versioning.preview-retention';
const SWEEP = 'versioning.sweep';
const SCHEDULED = 'versioning.retention';

/** Carries out the rules of datasets: when the time comes, and when somebody asks. */
@Injectable()
export class RetentionJobs implements OnModuleInit {
  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG)
    private readonly config: Pick<Config, 'REMOVAL_GRACE' | 'RETENTION_SCHEDULE'>,
    private readonly retention: Retention,
    private readonly previews: RetentionPreviews,
    private readonly sweep: Sweep,
  ) {}

  onModuleInit(): void {
    this.jobs.define(APPLY, ({ datasetId, by }, context) =>
      this.#apply(datasetId as DatasetId, by as UserId, context),
    );
    this.jobs.define(PREVIEW, ({ datasetId, rules }) =>
      this.#preview(datasetId as DatasetId, rules as unknown as RetentionRules),
    );
    this.jobs.define(SWEEP, async ({ datasetId }, { signal }) => ({
      ...(await this.sweep.run(datasetId as DatasetId, signal)),
    }));
    this.jobs.define(SCHEDULED, (_, context) => this.#applyAll(context));
    this.jobs.every(SCHEDULED, this.config.RETENTION_SCHEDULE);
  }

  /** @throws NotFound where the dataset has no rules */
  start(createdBy: UserId, dataset: DatasetId): Promise<JobId> {
    return this.unitOfWork.run(async (tx) => {
      await this.retention.requireRules(tx, dataset);
      const payload = { datasetId: dataset, by: createdBy };
      return this.jobs.enqueue(tx, APPLY, payload, { createdBy, key: `dataset-${dataset}` });
    });
  }

  /**
   * @param rules to try; those of the dataset unless told
   * @throws NotFound where neither are there
   */
  startPreview(createdBy: UserId, dataset: DatasetId, rules?: RetentionRules): Promise<JobId> {
    return this.unitOfWork.run(async (tx) => {
      const { keepLast, keepYoungerThan, keepYoungerThanMs } =
        rules ?? (await this.retention.requireRules(tx, dataset));
      const tried = { keepLast, keepYoungerThan, keepYoungerThanMs };
      return this.jobs.enqueue(tx, PREVIEW, { datasetId: dataset, rules: tried }, { createdBy });
    });
  }

  /** Has what was removed swept once nobody can be reading it any more. */
  async sweepLater(tx: Tx, dataset: DatasetId): Promise<void> {
    await this.jobs.enqueue(
      tx,
      SWEEP,
      { datasetId: dataset },
      { delayMs: this.config.REMOVAL_GRACE, key: `dataset-${dataset}` },
    );
  }

  async #apply(dataset: DatasetId, by: UserId | null, job: JobContext): Promise<JsonObject> {
    let removed = 0;
    for (;;) {
      const versions = await this.retention.removeSome(dataset, by);
      if (versions.length === 0) break;
      removed += versions.length;
      await job.progress(50, `Removed ${removed} versions`);
    }
    // Should it end between the two, the next scheduled run finds what was not swept.
    if (removed > 0 && this.config.REMOVAL_GRACE > 0) {
      await this.unitOfWork.run((tx) => this.sweepLater(tx, dataset));
    }
    const swept = await this.sweep.run(dataset, job.signal);
    return { datasetId: dataset, removedVersions: removed, swept: { ...swept } };
  }

  async #preview(dataset: DatasetId, rules: RetentionRules): Promise<JsonObject> {
    const preview = await this.unitOfWork.read((tx) => this.previews.preview(tx, dataset, rules));
    return { datasetId: dataset, ...preview } as unknown as JsonObject;
  }

  async #applyAll(job: JobContext): Promise<JsonObject> {
    let removed = 0;
    for (const dataset of await this.retention.ruled()) {
      const { removedVersions } = await this.#apply(dataset, null, job);
      removed += Number(removedVersions);
    }
    for (const dataset of await this.sweep.waiting()) await this.sweep.run(dataset, job.signal);
    return { removedVersions: removed };
  }
}
