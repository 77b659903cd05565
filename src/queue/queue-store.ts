import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';

/** More queues are not followed: each is a handful of series. */
const MAX_QUEUES = 100;
const BATCH = 5_000;

/** What has gone through a queue, and what waits. */
export interface QueueTotals {
  readonly queue: string;
  readonly depth: number;
  readonly added: number;
  readonly processed: number;
  /** Tasks whose waiting is known, and for how long all of them together waited. */
  readonly waits: number;
  readonly wait_seconds: number;
}

/** Which half of a task's way through a queue is told. */
export type Half = 'added' | 'processed';

const OTHER = { added: 'processed', processed: 'added' } as const;

/** The rows of queues and of the tasks of which only one half has been told. */
@Injectable()
export class QueueStore {
  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /** Whether the queue is followed: those that come first are. */
  async follow(tx: Tx, queue: string): Promise<boolean> {
    await tx.query(
      `INSERT INTO queue_totals (queue) SELECT $1
       WHERE (SELECT count(*) FROM queue_totals) < ${MAX_QUEUES}
       ON CONFLICT (queue) DO NOTHING`,
      [queue],
    );
    // Its row is what those who tell of the same queue take turns at.
    const followed = await tx.query('SELECT FROM queue_totals WHERE queue = $1 FOR UPDATE', [
      queue,
    ]);
    return followed.length > 0;
  }

  /** Notes one half of a task, whichever comes first; with the second it is known how long it waited. */
  async tell(tx: Tx, half: Half, queue: string, taskId: string, time: string): Promise<void> {
    const met = await tx.query<{ wait_seconds: number }>(
      `DELETE FROM queue_tasks WHERE queue = $1 AND task_id = $2 AND ${OTHER[half]}_at IS NOT NULL
       RETURNING greatest(0, extract(epoch FROM coalesce(processed_at, $3::timestamptz)
         - coalesce(added_at, $3::timestamptz)))::float8 AS wait_seconds`,
      [queue, taskId, time],
    );
    const [wait] = met;
    const noted = wait
      ? []
      : await tx.query(
          `INSERT INTO queue_tasks (queue, task_id, ${half}_at) VALUES ($1, $2, $3)
           ON CONFLICT (queue, task_id) DO NOTHING RETURNING queue`,
          [queue, taskId, time],
        );
    if (!wait && noted.length === 0) return;
    const deeper = half === 'added' ? noted.length : -met.length;
    await tx.query(
      `UPDATE queue_totals SET ${half} = ${half} + 1, depth = depth + $2, waits = waits + $3,
         wait_seconds = wait_seconds + $4, seen_at = now()
       WHERE queue = $1`,
      [queue, deeper, met.length, wait?.wait_seconds ?? 0],
    );
  }

  totals(): Promise<QueueTotals[]> {
    return this.unitOfWork.read((tx) =>
      tx.query<QueueTotals>(
        `SELECT queue, depth::float8, added::float8, processed::float8, waits::float8, wait_seconds
         FROM queue_totals ORDER BY queue`,
      ),
    );
  }

  /** Forgets tasks whose other half has not come for so long, and queues that are not used. */
  async forget(ageMs: number, signal: AbortSignal): Promise<number> {
    for (let total = 0; ;) {
      signal.throwIfAborted();
      const gone = await this.unitOfWork.run((tx) => forgetTasks(tx, ageMs));
      total += gone;
      if (gone === BATCH) continue;
      await this.unitOfWork.run((tx) =>
        tx.query(
          `DELETE FROM queue_totals
           WHERE depth = 0 AND seen_at < now() - $1 * interval '1 millisecond'`,
          [ageMs],
        ),
      );
      return total;
    }
  }
}

async function forgetTasks(tx: Tx, ageMs: number): Promise<number> {
  // In the order in which the handlers lock: a queue before its tasks.
  const queues = await tx.query<{ queue: string }>(
    `SELECT queue FROM queue_totals WHERE queue IN (
       SELECT queue FROM queue_tasks WHERE noted_at < now() - $1 * interval '1 millisecond')
     ORDER BY queue FOR UPDATE`,
    [ageMs],
  );
  const gone = await tx.query<{ queue: string; was_waiting: boolean }>(
    `DELETE FROM queue_tasks WHERE ctid IN (
       SELECT ctid FROM queue_tasks
       WHERE noted_at < now() - $1 * interval '1 millisecond' AND queue = ANY($2) LIMIT ${BATCH})
     RETURNING queue, added_at IS NOT NULL AS was_waiting`,
    [ageMs, queues.map(({ queue }) => queue)],
  );
  const waiting = Map.groupBy(
    gone.filter(({ was_waiting }) => was_waiting),
    ({ queue }) => queue,
  );
  for (const [queue, tasks] of waiting) {
    await tx.query('UPDATE queue_totals SET depth = depth - $2 WHERE queue = $1', [
      queue,
      tasks.length,
    ]);
  }
  return gone.length;
}
