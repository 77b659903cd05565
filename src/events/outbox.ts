import { randomUUID } from 'node:crypto';
import type { ClientBase } from 'pg';
import type { DomainEvent, NewEvent } from '../core/contracts/event-bus.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { EventId } from '../core/ids.js';
import { RequestContext } from '../platform/logging/request-context.js';

/** Who speaks in the events (CloudEvents `source`). */
const SOURCE = '/varve';

/** How long a relay has claimed events to itself; it renews the claim while it handles them. */
export const CLAIM_SECONDS = 30;

/** An event on its way, and where it stands in the log. */
export interface ClaimedEvent {
  readonly position: string;
  readonly event: DomainEvent;
}

/** Writes events into the log, in their order, as part of a transaction. */
export async function append(tx: Tx, events: readonly NewEvent[]): Promise<EventId[]> {
  const requestId = RequestContext.requestId();
  const rows = events.map(({ type, subject, data, correlationId }) => ({
    id: randomUUID() as EventId,
    type,
    subject,
    data,
    correlation_id: correlationId === undefined ? requestId : correlationId,
  }));
  await tx.query(
    `INSERT INTO events (id, type, source, subject, data, correlation_id)
     SELECT e.id, e.type, $2, e.subject, e.data, e.correlation_id
     FROM jsonb_to_recordset($1::jsonb)
       AS e (id uuid, type text, subject text, data jsonb, correlation_id text)`,
    [JSON.stringify(rows), SOURCE],
  );
  return rows.map(({ id }) => id);
}

/** Claims the oldest events that nobody has told yet and no living relay is telling. */
export async function claim(client: ClientBase, limit: number): Promise<ClaimedEvent[]> {
  const { rows } = await client.query<{
    position: string;
    id: EventId;
    type: DomainEvent['type'];
    source: string;
    subject: string;
    time: string;
    data: DomainEvent['data'];
    correlation_id: string | null;
  }>(
    `WITH claimed AS (
       UPDATE events SET claimed_until = now() + $2 * interval '1 second'
       WHERE position IN (
         SELECT position FROM events
         WHERE dispatched_at IS NULL AND (claimed_until IS NULL OR claimed_until < now())
         ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED)
       RETURNING *
     )
     SELECT position, id, type, source, subject, data, correlation_id,
       to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time
     FROM claimed ORDER BY position`,
    [limit, CLAIM_SECONDS],
  );
  return rows.map(({ position, correlation_id, ...rest }) => ({
    position,
    event: {
      specversion: '1.0',
      datacontenttype: 'application/json',
      correlationid: correlation_id,
      ...rest,
    },
  }));
}

/** Keeps other relays from events that are still being handled. */
export async function renewClaims(client: ClientBase, positions: readonly string[]): Promise<void> {
  await client.query(
    `UPDATE events SET claimed_until = now() + $2 * interval '1 second'
     WHERE position = ANY($1::bigint[]) AND dispatched_at IS NULL`,
    [positions, CLAIM_SECONDS],
  );
}

/** Gives events back for another relay to tell at once. */
export async function releaseClaims(
  client: ClientBase,
  positions: readonly string[],
): Promise<void> {
  await client.query('UPDATE events SET claimed_until = NULL WHERE position = ANY($1::bigint[])', [
    positions,
  ]);
}

/** Marks events as told, for good. */
export async function markDispatched(
  client: ClientBase,
  positions: readonly string[],
): Promise<void> {
  await client.query(
    `UPDATE events SET dispatched_at = now()
     WHERE position = ANY($1::bigint[]) AND dispatched_at IS NULL`,
    [positions],
  );
}

/** For how long the oldest event that nobody has told has been waiting, in seconds. */
export async function lagSeconds(tx: Reader): Promise<number> {
  const [oldest] = await tx.query<{ lag: number }>(
    `SELECT greatest(0, extract(epoch FROM clock_timestamp() - time))::float8 AS lag
     FROM events WHERE dispatched_at IS NULL ORDER BY position LIMIT 1`,
  );
  return oldest?.lag ?? 0;
}
