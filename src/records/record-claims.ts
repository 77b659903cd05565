import type { Tx } from '../core/contracts/unit-of-work.js';
import { readContents } from './record-contents.js';
import {
  RECORD_KINDS,
  type RecordContent,
  type RecordName,
  type RecordSubject,
} from './record-format.js';

/** How many subjects are claimed at once. */
const BATCH = 50;

/** After this another replica takes over what one has claimed and not written. */
const LEASE_SECONDS = 60;

/** A record to be written, and which changes it covers. */
export interface ClaimedRecord {
  readonly name: RecordName;
  readonly content: RecordContent;
  /** Of the transactions whose changes are in it. */
  readonly transactionIds: readonly string[];
}

// The row's lock is held while the contents are read: of two records of one subject, the one with
// the higher sequence was read later.
const CLAIM = `
  INSERT INTO storage_records AS r (kind, subject_id, sequence, leased_until)
  SELECT due.kind, due.subject_id, 1, now() + $2 * interval '1 second' FROM (
    SELECT DISTINCT c.kind, c.subject_id FROM record_changes c
    WHERE NOT EXISTS (SELECT FROM storage_records l WHERE l.kind = c.kind
      AND l.subject_id = c.subject_id AND l.leased_until > now())
    ORDER BY c.kind, c.subject_id LIMIT $1
  ) due
  ON CONFLICT (kind, subject_id) DO UPDATE
    SET sequence = r.sequence + 1, leased_until = excluded.leased_until
    WHERE r.leased_until IS NULL OR r.leased_until <= now()
  RETURNING kind, subject_id AS id, sequence::float8 AS sequence`;

/** Claims subjects that have changed and reads what they have become. None where none has. */
export async function claimRecords(tx: Tx): Promise<ClaimedRecord[]> {
  const [origin] = await tx.query<{ id: string }>('SELECT id FROM record_origin');
  const claimed = await tx.query<RecordSubject & { sequence: number }>(CLAIM, [
    BATCH,
    LEASE_SECONDS,
  ]);
  const records: ClaimedRecord[] = [];
  for (const kind of RECORD_KINDS) {
    const subjects = claimed.filter((subject) => subject.kind === kind);
    if (subjects.length === 0) continue;
    const ids = subjects.map(({ id }) => id);
    // Before the contents: what commits in between is in both or will be written once more.
    const changes = await tx.query<{ id: number; transactionIds: string[] }>(
      `SELECT subject_id AS id, array_agg(transaction_id::text) AS "transactionIds"
       FROM record_changes WHERE kind = $1 AND subject_id = ANY($2::integer[]) GROUP BY 1`,
      [kind, ids],
    );
    const covered = new Map(changes.map(({ id, transactionIds }) => [id, transactionIds]));
    const contents = await readContents(tx, kind, ids);
    for (const { id, sequence } of subjects) {
      records.push({
        name: { origin: origin?.id as string, kind, id, sequence },
        content: contents.get(id) as RecordContent,
        transactionIds: covered.get(id) ?? [],
      });
    }
  }
  return records;
}

/** Notes that a claimed record is in the storage: the changes in it need no other. */
export async function settleRecord(tx: Tx, { name, transactionIds }: ClaimedRecord): Promise<void> {
  await tx.query(
    `DELETE FROM record_changes WHERE kind = $1 AND subject_id = $2
       AND transaction_id = ANY($3::text[]::xid8[])`,
    [name.kind, name.id, transactionIds],
  );
  await tx.query(
    `UPDATE storage_records SET leased_until = NULL
     WHERE kind = $1 AND subject_id = $2 AND sequence = $3`,
    [name.kind, name.id, name.sequence],
  );
}

/**
 * Puts a subject's sequence past that of a record that was found in the storage, as after a restored
 * backup, and gives the claim back: the next one counts again.
 */
export async function outrunRecord(tx: Tx, name: RecordName, found: number): Promise<void> {
  await tx.query(
    `UPDATE storage_records SET sequence = greatest(sequence, $3), leased_until = NULL
     WHERE kind = $1 AND subject_id = $2`,
    [name.kind, name.id, found],
  );
}
