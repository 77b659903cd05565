import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { matchesEventPattern } from '../../core/events/event-pattern.js';
import type { Principal } from '../../core/principal.js';
import { EventAccess } from './event-access.js';
import type { LogEntry } from './entry-source.js';
import { LOG_COLUMNS, toEntry, type LogRow } from './event-log.js';
import type { LogPosition } from './log-position.js';

/** A part of the log that is asked for. */
export interface LogSelection {
  /** Types, or patterns of them; all where there is none. */
  readonly patterns: readonly string[];
  readonly subject: string | null;
  readonly after: LogPosition;
  readonly limit: number;
}

export interface LogSlice {
  readonly entries: readonly LogEntry[];
  /** Where to go on; null where nothing follows at present. */
  readonly next: LogPosition | null;
}

const READ_AT_ONCE = 1_000;
/** Somebody who may see little waits no longer than this takes: the page comes with fewer events. */
const MOST_READ = 10_000;

/** Reads pages of the log for somebody. */
@Injectable()
export class LogQuery {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly access: EventAccess,
  ) {}

  async page(principal: Principal, selection: LogSelection): Promise<LogSlice> {
    const { limit } = selection;
    const entries: LogEntry[] = [];
    let { after } = selection;
    for (let read = 0; ;) {
      const wanted = principal.role === 'admin' ? limit + 1 - entries.length : READ_AT_ONCE;
      const found = await this.unitOfWork.read((tx) => select(tx, { ...selection, after }, wanted));
      entries.push(...(await this.access.visible(principal, found)));
      read += found.length;
      const last = entries[limit - 1];
      if (entries.length > limit && last) {
        return { entries: entries.slice(0, limit), next: last.position };
      }
      after = found.at(-1)?.position ?? after;
      if (found.length < wanted) return { entries, next: null };
      if (read >= MOST_READ) return { entries, next: after };
    }
  }
}

/** The next events of a selection. Of each type they are found by an index, however long the log. */
async function select(
  tx: Reader,
  { patterns, subject, after }: LogSelection,
  limit: number,
): Promise<LogEntry[]> {
  const parameters: unknown[] = [after.transactionId, after.position, limit];
  const add = (value: unknown) => `$${parameters.push(value)}`;
  const following = `(e.transaction_id, e.position) > ($1::xid8, $2::bigint)
    AND e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())`;
  const order = 'ORDER BY e.transaction_id, e.position LIMIT $3';
  let sql: string;
  if (subject !== null || patterns.length === 0) {
    const conditions = [following];
    if (subject !== null) conditions.push(`e.subject = ${add(subject)}`);
    if (patterns.length > 0) conditions.push(`e.type = ANY(${add(await types(tx, patterns))})`);
    sql = `SELECT ${LOG_COLUMNS} FROM events e WHERE ${conditions.join(' AND ')} ${order}`;
  } else {
    // A page of each type, merged: a sort of few rows instead of a walk past those not asked for.
    sql = `SELECT ${LOG_COLUMNS} FROM unnest(${add(await types(tx, patterns))}::text[]) AS t (type)
      CROSS JOIN LATERAL (
        SELECT * FROM events e WHERE e.type = t.type COLLATE "C" AND ${following} ${order}
      ) e ${order}`;
  }
  return (await tx.query<LogRow>(sql, parameters)).map(toEntry);
}

/** The types that any pattern matches, of those that the log holds; one probe of an index for each. */
async function types(tx: Reader, patterns: readonly string[]): Promise<string[]> {
  if (patterns.every((pattern) => !pattern.includes('*'))) return [...new Set(patterns)];
  const rows = await tx.query<{ type: string }>(
    `WITH RECURSIVE known AS (
       (SELECT type FROM events ORDER BY type LIMIT 1)
       UNION ALL
       SELECT (SELECT e.type FROM events e WHERE e.type > known.type ORDER BY e.type LIMIT 1)
       FROM known WHERE known.type IS NOT NULL
     ) SELECT type FROM known WHERE type IS NOT NULL`,
  );
  return rows
    .map(({ type }) => type)
    .filter((type) => patterns.some((pattern) => matchesEventPattern(pattern, type)));
}
