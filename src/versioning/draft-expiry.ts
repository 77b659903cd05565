import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { JOB_QUEUE, type JobQueue } from '../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { VersionId } from '../core/ids.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { Drafts } from './drafts.js';

const JOB = 'versioning.expire-drafts';

/** Discards drafts that nobody has changed for long, and scratches that a crash left behind. */
@Injectable()
export class DraftExpiry implements OnModuleInit {
  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'DRAFT_TTL'>,
    private readonly drafts: Drafts,
  ) {}

  onModuleInit(): void {
    this.jobs.define(JOB, async () => ({ discarded: await this.expire() }));
    this.jobs.every(JOB, '29 * * * *');
  }

  /** Gives how many were discarded. */
  async expire(): Promise<number> {
    for (let discarded = 0; ; discarded++) {
      if (!(await this.#expireOne())) return discarded;
    }
  }

  /** One that somebody is working on at this moment is passed by. */
  #expireOne(): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      const [draft] = await tx.query<{ id: VersionId }>(
        `SELECT id FROM dataset_versions
         WHERE status = 'draft' AND draft_touched_at < now() - $1 * interval '1 millisecond'
         ORDER BY draft_touched_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
        [this.config.DRAFT_TTL],
      );
      if (draft) await this.drafts.discard(tx, draft);
      return draft !== undefined;
    });
  }
}
