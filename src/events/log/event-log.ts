import { randomUUID } from 'node:crypto';
import { escapeLiteral, type QueryResultRow } from 'pg';
import type { DomainEvent, NewEvent } from '../../core/contracts/event-bus.js';
import type { Reader, Tx } from '../../core/contracts/unit-of-work.js';
import type { EventId } from '../../core/ids.js';
import { RequestContext } from '../../platform/logging/request-context.js';
import { PAGE, type LogEntry, type LogPage } from './entry-source.js';
import type { LogPosition } from './log-position.js';

/** Who speaks in the events (CloudEvents `source`). */
export const SOURCE = '/varve';

/** The relay's row among the subscriptions: it is a reader of the log like any other. */
export const RELAY = 'relay';

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

/** The rows that a transaction's commit will write, as SQL. */
const appended = new WeakMap<Tx, string[]>();

/**
 * Writes events into the log, in their order, as part of a transaction: all that it publishes with
 * one statement, which travels with the commit.
 */
export function append(tx: Tx, events: readonly NewEvent[]): EventId[] {
  const requestId = RequestContext.requestId();
  const rows = appended.get(tx) ?? [];
  if (!appended.has(tx)) {
    appended.set(tx, rows);
    // Plain rows: there are no parameters here, and this is what PostgreSQL plans fastest.
    tx.atCommit(
      () =>
        `INSERT INTO events (id, type, source, subject, data, correlation_id) VALUES ${rows.join()}`,
    );
  }
  return events.map(({ type, subject, data, correlationId = requestId }) => {
    const id = randomUUID() as EventId;
    const values = [id, type, SOURCE, subject, JSON.stringify(data), correlationId];
    rows.push(`(${values.map(literal).join()})`);
    return id;
  });
}

function literal(text: string | null): string {
  if (text === null) return 'NULL';
  // It would end the statement; and no text of PostgreSQL's holds one.
  if (text.includes('\0')) throw new Error('An event holds no NUL.');
  return escapeLiteral(text);
}

/** A page of the log, and whether more of it has been committed that has to be waited for. */
export interface LogReading extends LogPage {
  readonly isHeldBack: boolean;
}

/**
 * Reads the events after a position, as far as they are settled: everything before the oldest
 * transaction that still runs. What is not there by then never will be, so nothing is passed by
 * that commits late.
 */
export async function readAfter(client: LogClient, after: LogPosition): Promise<LogReading> {
  const { rows } = await client.query<LogRow & { is_settled: boolean }>({
    name: 'read-events',
    text: `(SELECT ${LOG_COLUMNS}, TRUE AS is_settled FROM events e
         WHERE (e.transaction_id, e.position) > ($1::xid8, $2::bigint)
           AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
         ORDER BY e.transaction_id, e.position LIMIT ${PAGE})
       UNION ALL
       (SELECT ${LOG_COLUMNS}, FALSE FROM events e
         WHERE e.transaction_id >= pg_snapshot_xmin(pg_current_snapshot())
         ORDER BY e.transaction_id, e.position LIMIT 1)`,
    values: [after.transactionId, after.position],
  });
  const entries = rows.filter((row) => row.is_settled).map(toEntry);
  return {
    entries,
    end: entries.at(-1)?.position ?? after,
    isFull: entries.length === PAGE,
    isHeldBack: rows.length > entries.length,
  };
}

export function toEntry(row: LogRow): LogEntry {
  const { id, type, source, subject, time, data } = row;
  return {
    position: { transactionId: row.transaction_id, position: row.position },
    event: {
      specversion: '1.0',
      datacontenttype: 'application/json',
      correlationid: row.correlation_id,
      id,
      type,
      source,
      subject,
      time,
      data,
    },
  };
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
