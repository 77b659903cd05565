import { randomUUID } from 'node:crypto';
import type { QueryResultRow } from 'pg';
import type { DomainEvent, NewEvent } from '../../core/contracts/event-bus.js';
import type { PreparedSql, Reader, Tx } from '../../core/contracts/unit-of-work.js';
import type { EventId } from '../../core/ids.js';
import { RequestContext } from '../../platform/logging/request-context.js';
import type { LogPosition } from './log-position.js';

/** Who speaks in the events (CloudEvents `source`). */
export const SOURCE = '/varve';

/** The relay's row among the subscriptions: it is a reader of the log like any other. */
export const RELAY = 'relay';

/** An event, and where it stands in the log. */
export interface LogEntry {
  readonly position: LogPosition;
  readonly event: DomainEvent;
}

/** Runs SQL on a connection of the bus; what fails throws. */
export interface LogClient {
  query<Row extends QueryResultRow>(
    sql: string | { name: string; text: string; values: unknown[] },
    values?: unknown[],
  ): Promise<{ rows: Row[]; rowCount: number | null }>;
}

/** One row of the log, as the columns below give it. */
export interface LogRow {
  readonly transaction_id: string;
  readonly position: string;
  readonly id: EventId;
  readonly type: DomainEvent['type'];
  readonly source: string;
  readonly subject: string;
  readonly time: string;
  readonly data: DomainEvent['data'];
  readonly correlation_id: string | null;
}

/** The columns of an event, of the table or alias `e`. */
export const LOG_COLUMNS = `e.transaction_id::text, e.position::text, e.id, e.type, e.source,
  e.subject, e.data, e.correlation_id,
  to_char(e.time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time`;

/** Cheap, for every commit that publishes runs it. */
const APPEND: PreparedSql = {
  name: 'append-events',
  text: `INSERT INTO events (id, type, source, subject, data, correlation_id)
     SELECT e.id, e.type, $2, e.subject, e.data, e.correlation_id
     FROM jsonb_to_recordset($1::jsonb)
       AS e (id uuid, type text, subject text, data jsonb, correlation_id text)`,
};

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
  await tx.query(APPEND, [JSON.stringify(rows), SOURCE]);
  return rows.map(({ id }) => id);
}

/**
 * Reads the events after a position, as far as they are settled: everything before the oldest
 * transaction that still runs. What is not there by then never will be, so nothing is passed by
 * that commits late.
 */
export async function readAfter(
  client: LogClient,
  { transactionId, position }: LogPosition,
  limit: number,
): Promise<LogEntry[]> {
  const { rows } = await client.query<LogRow>({
    name: 'read-events',
    text: `SELECT ${LOG_COLUMNS} FROM events e
       WHERE (e.transaction_id, e.position) > ($1::xid8, $2::bigint)
         AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
       ORDER BY e.transaction_id, e.position LIMIT $3`,
    values: [transactionId, position, limit],
  });
  return rows.map(toEntry);
}

export function toEntry(row: LogRow): LogEntry {
  const { transaction_id, position, correlation_id, ...rest } = row;
  return {
    position: { transactionId: transaction_id, position },
    event: {
      specversion: '1.0',
      datacontenttype: 'application/json',
      correlationid: correlation_id,
      ...rest,
    },
  };
}

/** Where the newest event stands that has committed, settled or not; null in an empty log. */
export async function newest(client: LogClient): Promise<LogPosition | null> {
  const { rows } = await client.query<{ transaction_id: string; position: string }>({
    name: 'newest-event',
    // Ordered by the columns, not by their texts, which bear the same names.
    text: `SELECT transaction_id::text, position::text FROM events e
     ORDER BY e.transaction_id DESC, e.position DESC LIMIT 1`,
    values: [],
  });
  return rows[0] ? { transactionId: rows[0].transaction_id, position: rows[0].position } : null;
}

/** After all that is settled: what a new reader, who cares for what happens from now, starts with. */
export async function settledEnd(client: LogClient): Promise<LogPosition> {
  const { rows } = await client.query<{ xmin: string }>(
    'SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin',
  );
  if (!rows[0]) throw new Error('There is no snapshot.');
  return { transactionId: rows[0].xmin, position: '0' };
}

/**
 * For how long the oldest event has been waiting that a living subscription has not passed, in
 * seconds; or that the relay has not, whether or not it lives.
 */
export async function lagSeconds(tx: Reader, of: 'subscriptions' | 'relay'): Promise<number> {
  const [oldest] = await tx.query<{ lag: number | null }>(
    `SELECT greatest(0, extract(epoch FROM clock_timestamp() - min(next.time)))::float8 AS lag
     FROM event_subscriptions s CROSS JOIN LATERAL (
       SELECT e.time FROM events e
       WHERE (e.transaction_id, e.position) > (s.transaction_id, s.position)
       ORDER BY e.transaction_id, e.position LIMIT 1
     ) next
     WHERE CASE WHEN s.name = $1 THEN $2 ELSE NOT $2 AND s.lease_until > now() END`,
    [RELAY, of === 'relay'],
  );
  return oldest?.lag ?? 0;
}
