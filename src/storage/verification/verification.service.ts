import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../../core/contracts/job-queue.js';
import { STORAGE_BACKEND, type StorageBackend } from '../../core/contracts/storage-backend.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JobId, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { Sha256Workers } from '../artifact/sha256-workers.js';
import { referencesBySchema } from './reference-recount.js';
import type { VerifiedDatabase } from './verified-database.js';
import { Verifier } from './verifier.js';

const VERIFY = 'storage.verify';

/** Verifies the storage as a job. */
@Injectable()
export class VerificationService implements OnModuleInit {
  private readonly logger = new Logger(VerificationService.name);

  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(STORAGE_BACKEND) private readonly backend: StorageBackend,
  ) {}

  onModuleInit(): void {
    this.jobs.define(VERIFY, ({ hash }, context) => this.verify(hash !== false, context));
  }

  /** Enqueues a verification; one that waits already becomes this one. */
  start(createdBy: UserId, options: { hash: boolean }): Promise<JobId> {
    return this.unitOfWork.run((tx) =>
      this.jobs.enqueue(tx, VERIFY, { hash: options.hash }, { createdBy, key: VERIFY }),
    );
  }

  private async verify(hash: boolean, job: JobContext): Promise<JsonObject> {
    const database: VerifiedDatabase = {
      query: (sql, parameters) => this.unitOfWork.read((tx) => tx.query(sql, parameters)),
      transaction: (work) => this.unitOfWork.run(work),
    };
    const sources = await referencesBySchema(database);
    const workers = new Sha256Workers();
    const verifier = new Verifier(database, this.backend, sources, workers);
    const report = await verifier
      .verify({
        hash,
        signal: job.signal,
        progress: (percent, message) => job.progress(percent, message),
      })
      .finally(() => workers.close());
    if (!report.ok) {
      this.logger.error({ findings: report.findingCounts }, 'Verification found what is wrong');
    }
    return { ...report } as unknown as JsonObject;
  }
}
