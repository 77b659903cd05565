import type { Job } from 'graphile-worker';
import type { Pool } from 'pg';
import { FailedForGood, type JobContext } from '../../core/contracts/job-queue.js';
import type { Caller } from '../../core/contracts/audit-trail.js';
import type { JobId, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';

const LONGEST_TEXT = 2000;

/** What graphile-worker's jobs carry: those that somebody enqueued name their row, repeated ones not. */
export interface QueuePayload {
  readonly jobId?: JobId;
}

/** graphile-worker's job, as far as a run needs it; attempts counts the present one. */
export type QueueJob = Pick<Job, 'id' | 'attempts' | 'max_attempts'>;

/** What tells one attempt at a job from every other. */
export interface RunIdentity {
  readonly jobId: JobId;
  readonly queueJob: QueueJob;
}

interface BegunRow {
  id: JobId;
  payload: JsonObject;
  correlation_id: string | null;
  created_by: UserId | null;
  is_transient: boolean;
}

/** The run ended for others: somebody cancelled the job, or another process has taken it over. */
export class RunLost extends Error {
  constructor() {
    super('The job was cancelled or taken over.');
    this.name = 'RunLost';
  }
}

/** The row, as long as it is at the run's attempt; its parameters are the run's `identity`. */
const THIS_ATTEMPT = `id = $1 AND queue_job_id = $2 AND attempts = $3 AND state = 'running'`;

/** Text that PostgreSQL stores and a user can read. */
function plain(text: string): string {
  return text.replaceAll('\0', '').toWellFormed().slice(0, LONGEST_TEXT);
}

/**
 * One attempt at a job. Everything it writes depends on the row still being at this attempt, so a
 * run that was given up for dead changes nothing after another has taken over.
 */
export class JobRun implements RunIdentity {
  private readonly controller = new AbortController();

  private constructor(
    private readonly pool: Pool,
    private readonly kind: string,
    private readonly row: BegunRow,
    readonly queueJob: QueueJob,
  ) {}

  /** Marks the job as running; null where it was cancelled, replaced or done meanwhile. */
  static async begin(
    pool: Pool,
    kind: string,
    payload: QueuePayload,
    queueJob: QueueJob,
  ): Promise<JobRun | null> {
    const { rows } = payload.jobId
      ? await pool.query<BegunRow>(
          `UPDATE jobs SET state = 'running', attempts = $3,
             started_at = coalesce(started_at, now()), progress_percent = 0, progress_message = ''
           WHERE id = $1 AND queue_job_id = $2 AND state IN ('queued', 'running')
           RETURNING id, payload, correlation_id, created_by, is_transient`,
          [payload.jobId, queueJob.id, queueJob.attempts],
        )
      : await pool.query<BegunRow>(
          `INSERT INTO jobs
             (kind, payload, state, attempts, max_attempts, queue_job_id, started_at)
           VALUES ($1, '{}', 'running', $3, $4, $2, now())
           ON CONFLICT (queue_job_id) DO UPDATE SET state = 'running', attempts = $3
             WHERE jobs.state IN ('queued', 'running')
           RETURNING id, payload, correlation_id, created_by, is_transient`,
          [kind, queueJob.id, queueJob.attempts, queueJob.max_attempts],
        );
    return rows[0] ? new JobRun(pool, kind, rows[0], queueJob) : null;
  }

  get jobId(): JobId {
    return this.row.id;
  }

  get payload(): JsonObject {
    return this.row.payload;
  }

  /** The request that the job came from, or the job itself. */
  get correlationId(): string {
    return this.row.correlation_id ?? this.row.id;
  }

  /** For whom the work is done, as the audit says it. */
  get caller(): Omit<Caller, 'requestId'> {
    const operation = `job:${this.kind}`;
    return { userId: this.row.created_by, keyId: null, address: null, operation };
  }

  /** Whether the job has failed with it: after the last attempt, or where none would end otherwise. */
  isFinal(error: unknown): boolean {
    return error instanceof FailedForGood || this.queueJob.attempts >= this.queueJob.max_attempts;
  }

  get aborted(): boolean {
    return this.controller.signal.aborted;
  }

  abort(reason: Error): void {
    this.controller.abort(reason);
  }

  get context(): JobContext {
    const { signal } = this.controller;
    return {
      jobId: this.jobId,
      signal,
      progress: async (percent, message) => {
        const kept = await this.update(`progress_percent = $4, progress_message = $5`, [
          Math.min(100, Math.max(0, Math.round(percent))),
          plain(message),
        ]);
        if (!kept) this.abort(new RunLost());
        signal.throwIfAborted();
      },
    };
  }

  /** @returns false where the run is lost */
  async complete(result: JsonObject | null): Promise<boolean> {
    if (this.row.is_transient) {
      const { rowCount } = await this.pool.query(`DELETE FROM jobs WHERE ${THIS_ATTEMPT}`, [
        ...this.identity,
      ]);
      return rowCount === 1;
    }
    return this.update(
      `state = 'completed', finished_at = now(), progress_percent = 100, error = NULL, result = $4`,
      [result],
    );
  }

  /** Records why the attempt failed, and that the job has where that is final. */
  fail(error: unknown): Promise<boolean> {
    const message = plain(error instanceof Error ? error.message : String(error));
    return this.isFinal(error)
      ? this.update(`state = 'failed', finished_at = now(), error = $4`, [message])
      : this.update(`state = 'queued', error = $4`, [message]);
  }

  /** Gives the job back for another process to begin anew at once: this attempt does not count. */
  async putBack(): Promise<void> {
    await this.update(
      `state = 'queued', attempts = 0, queue_job_id = (
         SELECT q.id FROM graphile_worker.add_job(
           kind, json_build_object('jobId', id), max_attempts => $4
         ) q
       )`,
      [this.queueJob.max_attempts - this.queueJob.attempts + 1],
    );
  }

  /** Whether nobody wants the job done any more, as opposed to somebody else doing it. */
  async isOver(): Promise<boolean> {
    const { rows } = await this.pool.query<{ over: boolean }>(
      'SELECT finished_at IS NOT NULL AS over FROM jobs WHERE id = $1',
      [this.jobId],
    );
    return rows[0]?.over ?? true;
  }

  private get identity(): unknown[] {
    return [this.jobId, this.queueJob.id, this.queueJob.attempts];
  }

  private async update(assignments: string, values: unknown[]): Promise<boolean> {
    const { rowCount } = await this.pool.query(
      `UPDATE jobs SET ${assignments} WHERE ${THIS_ATTEMPT}`,
      [...this.identity, ...values],
    );
    return rowCount === 1;
  }
}
