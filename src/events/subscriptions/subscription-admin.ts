import { Inject, Injectable } from '@nestjs/common';
import { AUDIT_TRAIL, type AuditTrail } from '../../core/contracts/audit-trail.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { InvalidInput, NotFound } from '../../core/problems.js';
import { BusConnections } from '../bus-connections.js';
import { SubscriptionInUse } from '../events.problems.js';
import {
  isAfter,
  LOG_START,
  parseCursor,
  toCursor,
  type LogPosition,
} from '../log/log-position.js';
import type { DeadLetterRow, SubscriptionRow } from './subscriptions.dto.js';

const SUBSCRIPTION = `
  SELECT s.name, s.pattern, s.transaction_id || '-' || s.position AS cursor, s.seen_at,
    CASE WHEN s.lease_until > now() THEN s.holder END AS holder,
    coalesce((
      SELECT greatest(0, extract(epoch FROM clock_timestamp() - e.time))::float8 FROM events e
      WHERE (e.transaction_id, e.position) > (s.transaction_id, s.position)
      ORDER BY e.transaction_id, e.position LIMIT 1), 0) AS lag_seconds,
    d.pending, d.dead
  FROM event_subscriptions s CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'pending')::integer AS pending,
      count(*) FILTER (WHERE state = 'dead')::integer AS dead
    FROM event_deliveries WHERE subscription = s.name
  ) d`;

const DEAD_LETTER = `
  SELECT id::text, subscription, event, transaction_id || '-' || position AS cursor, attempts,
    last_error, died_at
  FROM event_deliveries WHERE state = 'dead'`;

/** What an operator does with durable subscriptions and their dead letters. */
@Injectable()
export class SubscriptionAdmin {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly connections: BusConnections,
    @Inject(AUDIT_TRAIL) private readonly audit: Pick<AuditTrail, 'record'>,
  ) {}

  list(after: string, limit: number): Promise<SubscriptionRow[]> {
    return this.unitOfWork.read((tx) =>
      tx.query<SubscriptionRow>(`${SUBSCRIPTION} WHERE s.name > $1 ORDER BY s.name LIMIT $2`, [
        after,
        limit,
      ]),
    );
  }

  /** @throws NotFound */
  async get(name: string): Promise<SubscriptionRow> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<SubscriptionRow>(`${SUBSCRIPTION} WHERE s.name = $1`, [name]),
    );
    if (!row) throw new NotFound(`The subscription ${JSON.stringify(name)}`);
    return row;
  }

  /**
   * Sets the position; what comes after it is handled, again or for the first time. Whoever runs
   * the subscription begins anew there, and what was waiting to be tried again comes back by itself.
   * @throws NotFound, InvalidInput
   */
  async rewind(name: string, to: { time?: string; cursor?: string }): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const { transactionId, position } = await target(tx, to);
      const moved = await tx.query(
        `UPDATE event_subscriptions SET transaction_id = $2::xid8, position = $3::bigint,
           generation = generation + 1, attempts = 0,
           -- Nobody's for a moment, but in use: whoever ran it finds out, and takes it again.
           holder = 'rewound', lease_until = now() + interval '1 second'
         WHERE name = $1 RETURNING name`,
        [name, transactionId, position],
      );
      if (moved.length === 0) throw new NotFound(`The subscription ${JSON.stringify(name)}`);
      await this.audit.record(tx, [
        {
          action: 'subscription.rewind',
          resourceType: 'event_subscription',
          resourceId: name,
          after: { cursor: toCursor({ transactionId, position }), ...to },
        },
      ]);
      await tx.query(
        `DELETE FROM event_deliveries WHERE subscription = $1 AND state = 'pending'
           AND (transaction_id, position) > ($2::xid8, $3::bigint)`,
        [name, transactionId, position],
      );
      tx.afterCommit(() => this.connections.announce());
    });
  }

  /** Forgets a subscription that nobody runs, with its dead letters. @throws NotFound, SubscriptionInUse */
  async remove(name: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const gone = await tx.query(
        `DELETE FROM event_subscriptions
         WHERE name = $1 AND (holder IS NULL OR lease_until < now()) RETURNING name`,
        [name],
      );
      if (gone.length > 0) return;
      const there = await tx.query('SELECT name FROM event_subscriptions WHERE name = $1', [name]);
      if (there.length > 0) throw new SubscriptionInUse(name);
      throw new NotFound(`The subscription ${JSON.stringify(name)}`);
    });
  }

  listDeadLetters(
    after: string,
    limit: number,
    subscription: string | null,
  ): Promise<DeadLetterRow[]> {
    return this.unitOfWork.read((tx) =>
      tx.query<DeadLetterRow>(
        `${DEAD_LETTER} AND id > $1 AND ($3::text IS NULL OR subscription = $3)
         ORDER BY event_deliveries.id LIMIT $2`,
        [after, limit, subscription],
      ),
    );
  }

  /** @throws NotFound */
  async getDeadLetter(id: string): Promise<DeadLetterRow> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<DeadLetterRow>(`${DEAD_LETTER} AND id = $1`, [id]),
    );
    if (!row) throw new NotFound(`The dead letter ${id}`);
    return row;
  }

  /** Has it handled again, with as many attempts as one that is new. @throws NotFound */
  async retryDeadLetter(id: string): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const again = await tx.query(
        `UPDATE event_deliveries SET state = 'pending', attempts = 0, due_at = now(),
           claimed_by = NULL, died_at = NULL
         WHERE id = $1 AND state = 'dead' RETURNING id`,
        [id],
      );
      if (again.length === 0) throw new NotFound(`The dead letter ${id}`);
      tx.afterCommit(() => this.connections.announce());
    });
  }

  /** @throws NotFound */
  async dropDeadLetter(id: string): Promise<void> {
    const gone = await this.unitOfWork.run((tx) =>
      tx.query(`DELETE FROM event_deliveries WHERE id = $1 AND state = 'dead' RETURNING id`, [id]),
    );
    if (gone.length === 0) throw new NotFound(`The dead letter ${id}`);
  }
}

async function target(tx: Tx, to: { time?: string; cursor?: string }): Promise<LogPosition> {
  if ((to.time === undefined) === (to.cursor === undefined)) {
    throw new InvalidInput('Say where to, by either time or cursor.', [
      { at: 'cursor', message: 'or time must be given, and only one of them' },
    ]);
  }
  const newest = await edge(tx, 'ORDER BY e.transaction_id DESC, e.position DESC', []);
  if (to.cursor !== undefined) {
    const position = parseCursor(to.cursor);
    if (position && !isAfter(position, newest ?? LOG_START)) return position;
    throw new InvalidInput('No event with this cursor has been published.', [
      { at: 'cursor', message: `is after the newest event, ${toCursor(newest ?? LOG_START)}` },
    ]);
  }
  const first = await edge(tx, 'WHERE e.time >= $1 ORDER BY e.transaction_id, e.position', [
    to.time,
  ]);
  if (!first) return newest ?? LOG_START;
  return { ...first, position: String(BigInt(first.position) - 1n) };
}

async function edge(tx: Tx, which: string, parameters: unknown[]): Promise<LogPosition | null> {
  const [row] = await tx.query<LogPosition>(
    `SELECT e.transaction_id::text AS "transactionId", e.position::text FROM events e
     ${which} LIMIT 1`,
    parameters,
  );
  return row ?? null;
}
