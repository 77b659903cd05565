import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JsonObject } from '../../core/json.js';

/** Which entries; every filter that is given must be met. */
export interface AuditFilter {
  readonly actorId?: number;
  readonly keyId?: number;
  readonly requestId?: string;
  readonly datasetId?: number;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** All of it, or what it begins with where it ends in `.*`. */
  readonly action?: string;
  readonly outcome?: 'done' | 'refused';
  readonly since?: Date;
  readonly until?: Date;
}

/** An entry as it is shown. */
export interface AuditRow {
  readonly id: string;
  readonly at: Date;
  readonly actorId: number | null;
  readonly actorName: string | null;
  readonly keyId: number | null;
  readonly requestId: string | null;
  readonly address: string | null;
  readonly operation: string | null;
  readonly outcome: 'done' | 'refused';
  readonly action: string;
  readonly resourceType: string | null;
  readonly resourceId: string | null;
  readonly datasetId: number | null;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
  readonly seq: string | null;
  readonly hash: string | null;
  readonly previousHash: string | null;
}

const EXPORTED_AT_ONCE = 1000;

/** Reads the audit log. */
@Injectable()
export class AuditLog {
  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /** Entries, the newest first, before one of them. */
  list(filter: AuditFilter, page: { before: string | null; limit: number }): Promise<AuditRow[]> {
    return this.read(filter, page.before, 'DESC', page.limit);
  }

  /** All of them, the oldest first. Each page is read when the one before has been taken. */
  async *all(filter: AuditFilter): AsyncGenerator<AuditRow> {
    let after: string | null = null;
    do {
      const rows: AuditRow[] = await this.read(filter, after, 'ASC', EXPORTED_AT_ONCE);
      yield* rows;
      after = rows.length === EXPORTED_AT_ONCE ? rows.at(-1)!.id : null;
    } while (after !== null);
  }

  private read(
    filter: AuditFilter,
    beyond: string | null,
    direction: 'ASC' | 'DESC',
    limit: number,
  ): Promise<AuditRow[]> {
    const { conditions, parameters } = conditionsOf(filter);
    if (beyond !== null) {
      conditions.push(
        `a.id ${direction === 'ASC' ? '>' : '<'} $${parameters.push(beyond)}::bigint`,
      );
    }
    return this.unitOfWork.read((tx) =>
      tx.query<AuditRow>(
        `SELECT a.id, a.at, a.actor_id AS "actorId", u.name AS "actorName", a.key_id AS "keyId",
           a.request_id AS "requestId", a.address, a.operation, a.outcome, a.action,
           a.resource_type AS "resourceType", a.resource_id AS "resourceId",
           a.dataset_id AS "datasetId", a.before, a.after, a.seq, encode(a.hash, 'hex') AS hash,
           encode(a.previous_hash, 'hex') AS "previousHash"
         FROM audit_log a LEFT JOIN users u ON u.id = a.actor_id
         ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''}
         ORDER BY a.id ${direction} LIMIT $${parameters.push(limit)}`,
        parameters,
      ),
    );
  }
}

function conditionsOf(filter: AuditFilter): { conditions: string[]; parameters: unknown[] } {
  const conditions: string[] = [];
  const parameters: unknown[] = [];
  const add = (condition: string, value: unknown): void => {
    if (value !== undefined) conditions.push(`${condition} $${parameters.push(value)}`);
  };
  add('a.actor_id =', filter.actorId);
  add('a.key_id =', filter.keyId);
  add('a.request_id =', filter.requestId);
  add('a.dataset_id =', filter.datasetId);
  add('a.resource_type =', filter.resourceType);
  add('a.resource_id =', filter.resourceId);
  add('a.outcome =', filter.outcome);
  add('a.at >=', filter.since);
  add('a.at <', filter.until);
  if (filter.action?.endsWith('.*')) {
    conditions.push(`starts_with(a.action, $${parameters.push(filter.action.slice(0, -1))})`);
  } else add('a.action =', filter.action);
  return { conditions, parameters };
}
