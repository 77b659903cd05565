import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { JOB_QUEUE, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { VERSION_WRITER, type VersionWriter } from '../../core/contracts/versions.js';
import { HandlesEvent } from '../../core/events/handles-event.decorator.js';
import type { DatasetId } from '../../core/ids.js';
import { CONFIG, type Config } from '../../platform/config/config.js';

const RELEASE = 'storage.release-dataset';

/** Lets a deleted dataset's references go once it can no longer be restored. */
@Injectable()
export class DatasetRelease implements OnModuleInit {
  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_WRITER) private readonly versions: VersionWriter,
    @Inject(CONFIG) private readonly config: Pick<Config, 'DATASET_RETENTION'>,
  ) {}

  onModuleInit(): void {
    this.jobs.define(RELEASE, async ({ datasetId }) => {
      // Stops by itself where the dataset has been restored.
      await this.versions.forget(datasetId as DatasetId);
    });
  }

  /** Told twice, or again after a restoration, the job that waits is put off: it is one per dataset. */
  @HandlesEvent('dataset.deleted', { name: RELEASE })
  async onDeleted({ data: { datasetId } }: DomainEvent<'dataset.deleted'>): Promise<void> {
    await this.unitOfWork.run((tx) =>
      this.jobs.enqueue(
        tx,
        RELEASE,
        { datasetId },
        { delayMs: this.config.DATASET_RETENTION, key: `dataset-${datasetId}` },
      ),
    );
  }
}
