import { Injectable } from '@nestjs/common';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { BusConnections } from '../bus-connections.js';
import type { LogEntry } from '../log/entry-source.js';
import type { LogPosition } from '../log/log-position.js';

/** A lease on a subscription: for as long as it lasts its events are this process's to handle. */
export interface Lease {
  readonly name: string;
  /** Another one for each holder: what an earlier one still writes is not taken. */
  readonly generation: string;
  readonly position: LogPosition;
  /** How often handling was begun at the position, this time included, and the end not known. */
  readonly attempts: number;
}

/** An event that has been passed, and is tried again or waits for one that is. */
export interface PendingDelivery {
  readonly id: string;
  readonly event: DomainEvent;
  /** With the one that is about to begin. */
  readonly attempts: number;
}

/** An event that the subscription passes without having handled it. */
export interface Passed {
  readonly entry: LogEntry;
  readonly attempts: number;
  readonly error: string | null;
  /** When it is due: after so long, never again (dead), or once an earlier one is done with. */
  readonly next: number | 'dead' | 'after-earlier';
}

/** What became of a delivery that was tried again. */
export interface Retried {
  readonly id: string;
  readonly outcome:
    'handled' | 'not begun' | { readonly error: string; readonly next: number | 'dead' };
}

/** The rows of durable subscriptions. The database's clock says how long a lease lasts. */
@Injectable()
export class SubscriptionStore {
  constructor(private readonly connections: BusConnections) {}

  private get pool() {
    return this.connections.pool;
  }

  /** Makes those that are new, with the position they begin at. */
  async register(
    subscriptions: readonly { name: string; pattern: string }[],
    from: LogPosition,
  ): Promise<void> {
    await this.pool.query(
      `INSERT INTO event_subscriptions (name, pattern, transaction_id, position)
       SELECT s.name, s.pattern, $2::xid8, $3::bigint
       FROM jsonb_to_recordset($1::jsonb) AS s (name text, pattern text) ORDER BY s.name
       ON CONFLICT (name) DO UPDATE SET pattern = excluded.pattern, seen_at = now()`,
      [JSON.stringify(subscriptions), from.transactionId, from.position],
    );
  }

  /**
   * Takes those that nobody holds, or whose holder has gone silent; and what `holder` itself has
   * let go of without being able to say so, which is no further attempt, and forgives none before it.
   */
  async claim(names: readonly string[], holder: string, leaseMs: number): Promise<Lease[]> {
    const { rows } = await this.pool.query<{
      name: string;
      generation: string;
      transaction_id: string;
      position: string;
      attempts: number;
    }>(
      `UPDATE event_subscriptions SET holder = $2, generation = generation + 1,
         attempts = CASE WHEN holder = $2 THEN attempts ELSE attempts + 1 END,
         lease_until = now() + $3 * interval '1 millisecond', seen_at = now()
       WHERE name IN (
         SELECT name FROM event_subscriptions
         WHERE name = ANY($1) AND (holder IS NULL OR holder = $2 OR lease_until < now())
         ORDER BY name FOR UPDATE SKIP LOCKED)
       RETURNING name, generation::text, transaction_id::text, position::text, attempts`,
      [names, holder, leaseMs],
    );
    return rows.map(({ name, generation, transaction_id, position, attempts }) => ({
      name,
      generation,
      position: { transactionId: transaction_id, position },
      attempts,
    }));
  }

  /** Prolongs those that `holder` still holds, and says which, as name and generation. */
  async renew(
    names: readonly string[],
    holder: string,
    leaseMs: number,
  ): Promise<Map<string, string>> {
    const { rows } = await this.pool.query<{ name: string; generation: string }>(
      `UPDATE event_subscriptions
       SET lease_until = now() + $3 * interval '1 millisecond', seen_at = now()
       WHERE name = ANY($1) AND holder = $2 AND lease_until > now()
       RETURNING name, generation::text`,
      [names, holder, leaseMs],
    );
    return new Map(rows.map(({ name, generation }) => [name, generation]));
  }

  /** Gives a lease back: nothing is being handled, so that the next holder need not be careful. */
  async release({ name, generation }: Lease): Promise<void> {
    await this.pool.query(
      `UPDATE event_subscriptions SET holder = NULL, lease_until = NULL, attempts = 0
       WHERE name = $1 AND generation = $2`,
      [name, generation],
    );
  }

  /** Those that have deliveries pending. */
  async withPending(names: readonly string[]): Promise<Set<string>> {
    const { rows } = await this.pool.query<{ name: string }>(
      `SELECT name FROM unnest($1::text[]) name WHERE EXISTS (
         SELECT FROM event_deliveries d WHERE d.subscription = name AND d.state = 'pending')`,
      [names],
    );
    return new Set(rows.map(({ name }) => name));
  }

  /** Those of the subjects of which an earlier event is still pending. */
  async blockedSubjects(name: string, subjects: readonly string[]): Promise<Set<string>> {
    const { rows } = await this.pool.query<{ subject: string }>(
      `SELECT subject FROM unnest($2::text[]) subject WHERE EXISTS (
         SELECT FROM event_deliveries d
         WHERE d.subscription = $1 AND d.subject = subject.subject AND d.state = 'pending')`,
      [name, subjects],
    );
    return new Set(rows.map(({ subject }) => subject));
  }

  /**
   * Moves the position on, with what is passed unhandled.
   * @returns false where the lease has been lost, and nothing was written
   */
  async advance(
    { name, generation }: Lease,
    to: LogPosition,
    passed: readonly Passed[],
  ): Promise<boolean> {
    const position = [name, generation, to.transactionId, to.position];
    if (passed.length === 0) {
      const { rowCount } = await this.pool.query({ ...ADVANCE, values: position });
      return rowCount === 1;
    }
    const deliveries = passed.map(({ entry, attempts, error, next }) => ({
      transaction_id: entry.position.transactionId,
      position: entry.position.position,
      subject: entry.event.subject,
      event: entry.event,
      state: next === 'dead' ? 'dead' : 'pending',
      attempts,
      delay_ms: typeof next === 'number' ? next : null,
      last_error: error,
    }));
    const { rowCount } = await this.pool.query(
      `WITH moved AS (
         ${ADVANCE.text}
       ), passed AS (
         INSERT INTO event_deliveries (subscription, transaction_id, position, subject, event, state,
           attempts, due_at, last_error, died_at)
         SELECT moved.name, d.transaction_id, d.position, d.subject, d.event, d.state, d.attempts,
           now() + d.delay_ms * interval '1 millisecond', d.last_error,
           CASE WHEN d.state = 'dead' THEN now() END
         FROM moved, jsonb_to_recordset($5::jsonb) AS d (transaction_id xid8, position bigint,
           subject text, event jsonb, state text, attempts integer, delay_ms integer,
           last_error text)
         ON CONFLICT (subscription, transaction_id, position) DO UPDATE SET
           state = excluded.state, attempts = excluded.attempts, due_at = excluded.due_at,
           last_error = excluded.last_error, died_at = excluded.died_at, claimed_by = NULL
       )
       SELECT name FROM moved`,
      [...position, JSON.stringify(deliveries)],
    );
    return rowCount === 1;
  }

  /** Claims deliveries that are due; an attempt is counted before it begins. */
  async claimDue({ name, generation }: Lease, limit: number): Promise<PendingDelivery[]> {
    const { rows } = await this.pool.query<PendingDelivery>(
      `UPDATE event_deliveries SET attempts = attempts + 1, claimed_by = $2
       WHERE id IN (
         SELECT id FROM event_deliveries
         WHERE subscription = $1 AND state = 'pending' AND due_at <= now()
           AND claimed_by IS DISTINCT FROM $2::bigint
         ORDER BY due_at LIMIT $3)
       RETURNING id::text, event, attempts`,
      [name, generation, limit],
    );
    return rows;
  }

  /** Writes what became of deliveries; the next of each subject that is done with becomes due. */
  async settle({ name, generation }: Lease, retried: readonly Retried[]): Promise<void> {
    const rows = retried.map(({ id, outcome }) => {
      if (outcome === 'handled') return { id, state: 'handled' };
      if (outcome === 'not begun') return { id, state: 'pending', delay_ms: 0, undone: 1 };
      const { error, next } = outcome;
      if (next === 'dead') return { id, state: 'dead', last_error: error };
      return { id, state: 'pending', last_error: error, delay_ms: next };
    });
    await this.pool.query(
      `WITH outcome AS MATERIALIZED (
         SELECT o.* FROM jsonb_to_recordset($3::jsonb)
           AS o (id bigint, state text, delay_ms integer, last_error text, undone integer)
         JOIN event_deliveries d ON d.id = o.id AND d.claimed_by = $2::bigint
       ), handled AS (
         DELETE FROM event_deliveries d USING outcome o
         WHERE d.id = o.id AND o.state = 'handled' RETURNING d.subject
       ), failed AS (
         UPDATE event_deliveries d SET state = o.state,
           last_error = coalesce(o.last_error, d.last_error), claimed_by = NULL,
           attempts = d.attempts - coalesce(o.undone, 0), due_at = now() + o.delay_ms * interval '1 millisecond',
           died_at = CASE WHEN o.state = 'dead' THEN now() END
         FROM outcome o WHERE d.id = o.id AND o.state <> 'handled' RETURNING d.subject, d.state
       ), free AS (
         SELECT subject FROM handled UNION SELECT subject FROM failed WHERE state = 'dead'
       )
       UPDATE event_deliveries d SET due_at = now() FROM free, LATERAL (
         SELECT n.id FROM event_deliveries n
         WHERE n.subscription = $1 AND n.subject = free.subject AND n.state = 'pending'
           AND n.due_at IS NULL
         ORDER BY n.transaction_id, n.position LIMIT 1
       ) next
       WHERE d.id = next.id`,
      [name, generation, JSON.stringify(rows)],
    );
  }
}

const ADVANCE = {
  name: 'advance-subscription',
  text: `UPDATE event_subscriptions SET transaction_id = $3::xid8, position = $4::bigint,
    attempts = 1 WHERE name = $1 AND generation = $2::bigint RETURNING name`,
};
