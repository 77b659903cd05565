import type { Pool } from 'pg';
import type { RunIdentity } from './job-run.js';

/** How long a worker may be silent before it counts as dead; by the database's clock. */
const LEASE_SECONDS = 30;

/** Says that a worker lives. */
export async function beat(pool: Pool, workerId: string): Promise<void> {
  await pool.query(
    `INSERT INTO job_workers (id) VALUES ($1)
     ON CONFLICT (id) DO UPDATE SET heartbeat_at = now()`,
    [workerId],
  );
}

/** Signs a worker off: what it still holds is free for others at once. */
export async function signOff(pool: Pool, workerId: string): Promise<void> {
  await pool.query('SELECT graphile_worker.force_unlock_workers(ARRAY[$1::text])', [workerId]);
  await pool.query('DELETE FROM job_workers WHERE id = $1', [workerId]);
}

/**
 * Frees the jobs of workers that have died, to be tried again, and fails those that have taken
 * their worker down with them as often as they may be tried.
 */
export async function takeOver(pool: Pool): Promise<void> {
  await pool.query(
    `SELECT graphile_worker.force_unlock_workers(array_agg(DISTINCT q.locked_by))
     FROM graphile_worker.jobs q
     WHERE q.locked_at < now() - $1 * interval '1 second' AND NOT EXISTS (
       SELECT FROM job_workers w
       WHERE w.id = q.locked_by AND w.heartbeat_at > now() - $1 * interval '1 second')
     HAVING count(*) > 0`,
    [LEASE_SECONDS],
  );
  await pool.query(
    `DELETE FROM job_workers WHERE heartbeat_at < now() - $1 * interval '1 second'`,
    [LEASE_SECONDS],
  );
  // An attempt counts from when it was picked up, so whatever it died of, it has been counted.
  await pool.query(
    `WITH ended AS (
       UPDATE jobs j SET state = 'failed', finished_at = now(),
         error = coalesce(error, 'The process that did this job died each time.')
       WHERE j.state IN ('queued', 'running') AND NOT EXISTS (
         SELECT FROM graphile_worker.jobs q
         WHERE q.id = j.queue_job_id
           AND (q.locked_at IS NOT NULL OR q.attempts < q.max_attempts))
       RETURNING j.queue_job_id
     )
     SELECT graphile_worker.complete_jobs(array_agg(queue_job_id)) FROM ended HAVING count(*) > 0`,
  );
}

/** Which of the runs no longer count. */
export async function lostRuns<Run extends RunIdentity>(
  pool: Pool,
  runs: readonly Run[],
): Promise<Run[]> {
  const { rows } = await pool.query<{ position: number }>(
    `SELECT r.position::integer - 1 AS position
     FROM unnest($1::uuid[], $2::bigint[], $3::integer[])
       WITH ORDINALITY r (id, queue_job_id, attempt, position)
     WHERE NOT EXISTS (
       SELECT FROM jobs j
       WHERE j.id = r.id AND j.queue_job_id = r.queue_job_id AND j.attempts = r.attempt
         AND j.state = 'running')`,
    [
      runs.map(({ jobId }) => jobId),
      runs.map(({ queueJob }) => queueJob.id),
      runs.map(({ queueJob }) => queueJob.attempts),
    ],
  );
  return rows.flatMap(({ position }) => runs[position] ?? []);
}
