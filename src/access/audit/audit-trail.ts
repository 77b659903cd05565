import { Inject, Injectable, Logger } from '@nestjs/common';
import type { AuditRecord, AuditTrail, Caller } from '../../core/contracts/audit-trail.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JsonObject } from '../../core/json.js';
import type { Problem } from '../../core/problems.js';
import { GroupCommit } from '../../platform/database/group-commit.js';
import { RequestContext } from '../../platform/logging/request-context.js';

/** Who is refused floods nobody: a group of refusals is one statement, and no more wait than this. */
const GROUP = { items: 500, groups: 1 };
const MAX_WAITING = 10_000;

const INSERT = `
  INSERT INTO audit_log (actor_id, key_id, request_id, address, operation, outcome, action,
    resource_type, resource_id, dataset_id, after)
  SELECT (e.caller ->> 'userId')::integer, (e.caller ->> 'keyId')::integer,
    e.caller ->> 'requestId', e.caller ->> 'address', e.caller ->> 'operation', e.outcome, e.action,
    e."resourceType", e."resourceId", e."datasetId", e.after
  FROM jsonb_to_recordset($1::jsonb) AS e (caller jsonb, outcome text, action text,
    "resourceType" text, "resourceId" text, "datasetId" integer, after jsonb)`;

interface Entry extends Omit<AuditRecord, 'resourceType' | 'resourceId' | 'caller'> {
  readonly resourceType: string | null;
  readonly resourceId: string | null;
  readonly outcome: 'done' | 'refused';
  readonly caller: Caller | null;
}

/** Writes what triggers cannot see into the audit log. */
@Injectable()
export class SqlAuditTrail implements AuditTrail {
  private readonly logger = new Logger(SqlAuditTrail.name);
  private waiting = 0;
  private readonly refusals = new GroupCommit<Entry, void>(async (group) => {
    await this.unitOfWork.run((tx) => insert(tx, merged(group)));
    return group.map(() => ({ status: 'fulfilled', value: undefined }));
  }, GROUP);

  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  async record(tx: Tx, records: readonly AuditRecord[]): Promise<void> {
    if (records.length === 0) return;
    const running = RequestContext.caller();
    await insert(
      tx,
      records.map((record) => ({ ...record, outcome: 'done', caller: record.caller ?? running })),
    );
  }

  refused({ kind, message }: Problem): void {
    // Beyond this the database does not keep up; the request log still has a line for each.
    if (this.waiting >= MAX_WAITING) return;
    this.waiting++;
    const after: JsonObject = { status: kind.status, problem: kind.code, detail: message };
    const caller = RequestContext.caller();
    const entry = { action: 'refused', outcome: 'refused', caller, after } as const;
    this.refusals
      .submit({ ...entry, resourceType: null, resourceId: null })
      .catch((error: unknown) => {
        this.logger.error({ err: error }, 'A refusal could not be recorded');
      })
      .finally(() => this.waiting--);
  }
}

function insert(tx: Tx, entries: readonly Entry[]): Promise<unknown[]> {
  return tx.query(INSERT, [JSON.stringify(entries)]);
}

/** The same refusal of the same caller at the same moment is one entry that says how often. */
function merged(entries: readonly Entry[]): Entry[] {
  const sameAs = ({ caller, after }: Entry) =>
    JSON.stringify([caller?.userId, caller?.keyId, caller?.address, caller?.operation, after]);
  return [...Map.groupBy(entries, sameAs).values()].map((same) =>
    same.length === 1
      ? same[0]!
      : { ...same[0]!, after: { ...same[0]!.after, times: same.length } },
  );
}
