import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { RequestContext } from '../../platform/logging/request-context.js';
import type { LogEntry } from '../log/entry-source.js';
import { LOG_COLUMNS, toEntry, type LogRow } from '../log/event-log.js';
import { OutboxEventBus } from '../outbox-event-bus.js';
import type { NewForeignEvent } from './new-event.js';
import { EventIdTaken } from './publishing.problems.js';

/** What of an event a column takes, as the publisher gave it. */
const GIVEN = `jsonb_to_recordset($1::jsonb) AS g (n integer, id uuid, type text, source text,
  subject text, data jsonb, correlation_id text, is_correlated boolean, time timestamptz)`;

/**
 * Takes events from outside into the log. An event's id is what it is known by: taken twice it stands
 * in the log once, for as long as the log remembers it.
 */
@Injectable()
export class EventIntake {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly bus: OutboxEventBus,
  ) {}

  /**
   * Publishes all of them, in their order, or none.
   * @param source who speaks in those that do not say
   * @returns them as they stand in the log
   * @throws EventIdTaken where an id is another event's
   */
  publish(source: string, events: readonly NewForeignEvent[]): Promise<LogEntry[]> {
    const rows = events.map((event, n) => ({
      n,
      id: event.id ?? randomUUID(),
      type: event.type,
      source: event.source ?? source,
      subject: event.subject ?? event.source ?? source,
      data: event.data,
      correlation_id: event.correlationid ?? null,
      // Null is an answer too: that it came from no request.
      is_correlated: event.correlationid !== undefined,
      time: event.time ?? null,
    }));
    return this.unitOfWork.run(async (tx) => {
      const given = JSON.stringify(rows);
      const added = await add(tx, given);
      await requireSame(tx, given);
      this.bus.announce(tx, added);
      return standing(tx, given);
    });
  }
}

/** Adds those that are not there, and gives their types. */
async function add(tx: Tx, given: string): Promise<string[]> {
  const added = await tx.query<{ type: string }>(
    `INSERT INTO events (id, type, source, subject, data, correlation_id, time)
     SELECT g.id, g.type, g.source, g.subject, coalesce(g.data, 'null'),
       CASE WHEN g.is_correlated THEN g.correlation_id ELSE $2 END, coalesce(g.time, clock_timestamp())
     FROM ${GIVEN} ORDER BY g.n
     ON CONFLICT (id) DO NOTHING RETURNING type`,
    [given, RequestContext.requestId()],
  );
  return added.map(({ type }) => type);
}

/** @throws EventIdTaken where the log has another event by the id */
async function requireSame(tx: Tx, given: string): Promise<void> {
  const others = await tx.query<{ id: string }>(
    `SELECT DISTINCT e.id FROM ${GIVEN} JOIN events e ON e.id = g.id
     WHERE (e.type, e.source, e.subject, e.data)
         <> (g.type, g.source, g.subject, coalesce(g.data, 'null'))
       OR (g.is_correlated AND e.correlation_id IS DISTINCT FROM g.correlation_id)
       OR e.time <> g.time`,
    [given],
  );
  if (others.length > 0) throw new EventIdTaken(others.map(({ id }) => id));
}

/** The events as the log has them, whoever added them. */
async function standing(tx: Tx, given: string): Promise<LogEntry[]> {
  const rows = await tx.query<LogRow>(
    `SELECT ${LOG_COLUMNS} FROM ${GIVEN} JOIN events e ON e.id = g.id ORDER BY g.n`,
    [given],
  );
  return rows.map(toEntry);
}
