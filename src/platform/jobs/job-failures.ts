import { Inject, Injectable, Logger } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JobId, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { RequestContext } from '../logging/request-context.js';
import { GraphileJobQueue } from './graphile-job-queue.js';

interface FailedRow {
  id: JobId;
  kind: string;
  payload: JsonObject;
  error: string | null;
  correlation_id: string | null;
  created_by: UserId | null;
}

/**
 * Tells each kind of job of those that have failed for good, once: in one transaction with the note that
 * it was told, by whichever process finds it first. So it is told as well of a job whose process died.
 */
@Injectable()
export class JobFailures {
  private readonly logger = new Logger(JobFailures.name);

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly queue: GraphileJobQueue,
  ) {}

  /** Tells of all that has not been told. What cannot be told now is left for the next time. */
  async tellAll(): Promise<void> {
    const kinds = [...this.queue.failureListeners.keys()];
    if (kinds.length === 0) return;
    const untellable: JobId[] = [];
    while (await this.tellOne(kinds, untellable));
  }

  /** @returns false where nothing is left to tell */
  private async tellOne(kinds: readonly string[], untellable: JobId[]): Promise<boolean> {
    let found: JobId | null = null;
    try {
      await this.unitOfWork.run(async (tx) => {
        const [job] = await tx.query<FailedRow>(
          `SELECT id, kind, payload, error, correlation_id, created_by FROM jobs
           WHERE state = 'failed' AND NOT failure_told AND kind = ANY($1) AND id <> ALL($2::uuid[])
           ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED`,
          [kinds, untellable],
        );
        if (!job) return;
        found = job.id;
        const { id: jobId, kind, payload, error } = job;
        await tx.query('UPDATE jobs SET failure_told = true WHERE id = $1', [jobId]);
        await RequestContext.run(job.correlation_id ?? jobId, async () =>
          this.queue.failureListeners.get(kind)?.(tx, { jobId, payload, reason: error ?? '' }),
        );
      });
    } catch (error) {
      if (found === null) throw error;
      this.logger.warn({ err: error, jobId: found }, 'A failed job could not be told of');
      untellable.push(found);
    }
    return found !== null;
  }
}
