import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Response } from 'express';
import { JOB_QUEUE, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JobId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { NotFound } from '../../core/problems.js';
import { CONFIG, type Config } from '../config/config.js';
import { JobRunner } from './job-runner.js';
import { JobView, type JobRow, type JobState } from './job.view.js';
import { JobEnded } from './jobs.problems.js';

const COLUMNS = `id, seq::float8 AS seq, kind, state, progress_percent, progress_message, attempts,
  result, error, created_by, created_at, started_at, finished_at`;

/** Whose jobs a principal may see, as parameters of `($1 OR created_by = $2)`. */
const visibleTo = (principal: Principal) => [principal.role === 'admin', principal.userId];

/** What can be done to a job from outside: look at it, and cancel it. */
@Injectable()
export class JobsService implements OnModuleInit {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(JOB_QUEUE) private readonly queue: JobQueue,
    @Inject(CONFIG) private readonly config: Pick<Config, 'JOB_RETENTION'>,
    private readonly runner: JobRunner,
  ) {}

  onModuleInit(): void {
    this.queue.define('platform.forget-jobs', () => this.forgetOld());
    this.queue.every('platform.forget-jobs', '23 * * * *');
  }

  /** @throws NotFound also for a job of somebody else, unless an administrator asks */
  get(principal: Principal, id: JobId): Promise<JobRow> {
    return this.unitOfWork.read(async (tx) => {
      const [row] = await tx.query<JobRow>(
        `SELECT ${COLUMNS} FROM jobs WHERE ($1 OR created_by = $2) AND id = $3`,
        [...visibleTo(principal), id],
      );
      if (!row) throw new NotFound(`Job ${id}`);
      return row;
    });
  }

  /** Jobs from the newest on, before one of them. */
  list(
    principal: Principal,
    page: { state?: JobState; kind?: string; before: number | null; limit: number },
  ): Promise<JobRow[]> {
    return this.unitOfWork.read((tx) =>
      tx.query<JobRow>(
        `SELECT ${COLUMNS} FROM jobs
         WHERE ($1 OR created_by = $2) AND ($3::bigint IS NULL OR seq < $3)
           AND ($4::text IS NULL OR state = $4) AND ($5::text IS NULL OR kind = $5)
         ORDER BY seq DESC LIMIT $6`,
        [...visibleTo(principal), page.before, page.state ?? null, page.kind ?? null, page.limit],
      ),
    );
  }

  /**
   * Takes a waiting job out of the queue, or tells a running one to stop, wherever it runs.
   * @throws NotFound, JobEnded
   */
  async cancel(principal: Principal, id: JobId): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const [job] = await tx.query<{ state: JobState; ended: boolean; queue_job_id: string }>(
        `SELECT state, finished_at IS NOT NULL AS ended, queue_job_id FROM jobs
         WHERE ($1 OR created_by = $2) AND id = $3 FOR UPDATE`,
        [...visibleTo(principal), id],
      );
      if (!job) throw new NotFound(`Job ${id}`);
      if (job.ended) throw new JobEnded(job.state);
      await tx.query(`UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = $1`, [
        id,
      ]);
      await tx.query('SELECT graphile_worker.complete_jobs(ARRAY[$1::bigint])', [job.queue_job_id]);
      tx.afterCommit(() => this.runner.drop(id));
    });
  }

  /** Makes an answer of 202 that says where the job can be followed. Its caller sees the job. */
  async accepted(res: Response, principal: Principal, id: JobId): Promise<JobView> {
    const job = JobView.of(await this.get(principal, id));
    res.status(202).location(`/api/v1/jobs/${id}`);
    return job;
  }

  private async forgetOld(): Promise<void> {
    await this.unitOfWork.run((tx) =>
      tx.query(`DELETE FROM jobs WHERE finished_at < now() - $1 * interval '1 millisecond'`, [
        this.config.JOB_RETENTION,
      ]),
    );
  }
}
