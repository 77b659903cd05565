import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { CONFIG, type Config } from '../platform/config/config.js';

const FORGET = 'events.forget';
const BATCH = 5_000;

/** What each pass forgets, oldest first, in batches of $2 rows that are older than $1 ms. */
const FORGETTING = {
  // From the log's beginning: what a living subscription has not passed stays, and all behind it.
  events: `WITH passed AS MATERIALIZED (
     SELECT transaction_id, position FROM event_subscriptions
     WHERE seen_at > now() - $1 * interval '1 millisecond'
     UNION ALL SELECT pg_snapshot_xmin(pg_current_snapshot()), 0
     ORDER BY 1, 2 LIMIT 1)
   DELETE FROM events WHERE (transaction_id, position) IN (
     SELECT e.transaction_id, e.position FROM events e, passed p
     WHERE (e.transaction_id, e.position) <= (p.transaction_id, p.position)
     ORDER BY e.transaction_id, e.position LIMIT $2)
   AND time < now() - $1 * interval '1 millisecond' RETURNING 1`,
  deadLetters: `DELETE FROM event_deliveries WHERE id IN (
     SELECT id FROM event_deliveries WHERE state = 'dead'
       AND died_at < now() - $1 * interval '1 millisecond' ORDER BY id LIMIT $2)
   RETURNING 1`,
  webhookDeliveries: `DELETE FROM webhook_deliveries WHERE id IN (
     SELECT id FROM webhook_deliveries
     WHERE ended_at < now() - $1 * interval '1 millisecond' LIMIT $2)
   RETURNING 1`,
  handledEvents: `DELETE FROM handled_events WHERE ctid IN (
     SELECT ctid FROM handled_events
     WHERE handled_at < now() - $1 * interval '1 millisecond' LIMIT $2)
   RETURNING 1`,
};

/** Forgets events, dead letters and notes of what was handled once `EVENT_RETENTION` has passed. */
@Injectable()
export class EventRetention implements OnModuleInit {
  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'EVENT_RETENTION'>,
  ) {}

  onModuleInit(): void {
    this.jobs.define(FORGET, async (_, { signal }) => this.forgetOld(signal));
    this.jobs.every(FORGET, '23 * * * *');
  }

  /** Gives how many of each were forgotten. */
  async forgetOld(signal: JobContext['signal']): Promise<Record<keyof typeof FORGETTING, number>> {
    return {
      events: await this.forget(FORGETTING.events, signal),
      deadLetters: await this.forget(FORGETTING.deadLetters, signal),
      webhookDeliveries: await this.forget(FORGETTING.webhookDeliveries, signal),
      handledEvents: await this.forget(FORGETTING.handledEvents, signal),
    };
  }

  private async forget(sql: string, signal: AbortSignal): Promise<number> {
    for (let total = 0; ;) {
      signal.throwIfAborted();
      const parameters = [this.config.EVENT_RETENTION, BATCH];
      const gone = await this.unitOfWork.run((tx: Tx) => tx.query(sql, parameters));
      total += gone.length;
      if (gone.length < BATCH) return total;
    }
  }
}
