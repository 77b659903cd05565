import { Injectable } from '@nestjs/common';
import { parseCronItems, type ParsedCronItem } from 'graphile-worker';
import type {
  FailureListener,
  JobHandler,
  JobOptions,
  JobQueue,
} from '../../core/contracts/job-queue.js';
import type { Tx } from '../../core/contracts/unit-of-work.js';
import type { JobId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { RequestContext } from '../logging/request-context.js';

const DEFAULT_ATTEMPTS = 3;

/**
 * Jobs on graphile-worker, which picks them up and tries them again; the table `jobs` says what has
 * become of them.
 */
@Injectable()
export class GraphileJobQueue implements JobQueue {
  private readonly defined = new Map<string, JobHandler>();
  private readonly listeners = new Map<string, FailureListener>();
  private readonly repeated: ParsedCronItem[] = [];

  get handlers(): ReadonlyMap<string, JobHandler> {
    return this.defined;
  }

  get failureListeners(): ReadonlyMap<string, FailureListener> {
    return this.listeners;
  }

  get schedule(): readonly ParsedCronItem[] {
    return this.repeated;
  }

  async enqueue(
    tx: Tx,
    kind: string,
    payload: JsonObject,
    options: JobOptions = {},
  ): Promise<JobId> {
    const { delayMs = 0, key = null, maxAttempts = DEFAULT_ATTEMPTS, createdBy = null } = options;
    const { isTransient = false } = options;
    // A job with the same key that has not started becomes this one: its row stays, and with it
    // the id that others may be polling.
    const [job] = await tx.query<{ id: JobId; replaced: string | null }>(
      `INSERT INTO jobs (kind, job_key, payload, max_attempts, created_by, correlation_id, run_after,
         is_transient)
       VALUES ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 millisecond', $8)
       ON CONFLICT (kind, job_key) WHERE state = 'queued' AND job_key IS NOT NULL DO UPDATE SET
         payload = excluded.payload, max_attempts = excluded.max_attempts,
         created_by = excluded.created_by, correlation_id = excluded.correlation_id,
         run_after = excluded.run_after, is_transient = excluded.is_transient, attempts = 0,
         error = NULL, progress_percent = 0, progress_message = ''
       RETURNING id, queue_job_id AS replaced`,
      [
        kind,
        key,
        payload,
        maxAttempts,
        createdBy,
        RequestContext.requestId(),
        delayMs,
        isTransient,
      ],
    );
    if (!job) throw new Error('The job was not inserted.');
    // A worker that has just picked the replaced one up finds that the row names another, and
    // leaves it.
    if (job.replaced !== null) {
      await tx.query('SELECT graphile_worker.complete_jobs(ARRAY[$1::bigint])', [job.replaced]);
    }
    await tx.query(
      `UPDATE jobs SET queue_job_id = (
         SELECT q.id FROM graphile_worker.add_job(
           kind, json_build_object('jobId', id), run_at => run_after, max_attempts => max_attempts
         ) q
       ) WHERE id = $1`,
      [job.id],
    );
    return job.id;
  }

  define(kind: string, handler: JobHandler, onFailed?: FailureListener): void {
    if (this.defined.has(kind)) throw new Error(`Two handlers for jobs of kind ${kind}.`);
    this.defined.set(kind, handler);
    if (onFailed) this.listeners.set(kind, onFailed);
  }

  every(kind: string, cron: string): void {
    // One after the other, and never two waiting: a run that takes longer than its period delays
    // the next.
    const name = `every:${kind}`;
    const options = { maxAttempts: DEFAULT_ATTEMPTS, queueName: name, jobKey: name };
    this.repeated.push(...parseCronItems([{ task: kind, match: cron, options }]));
  }
}
