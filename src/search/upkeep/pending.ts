import type { Tx } from '../../core/contracts/unit-of-work.js';
import type { DatasetId } from '../../core/ids.js';

/** For how long a claim keeps others away. Making a document takes a fraction of it. */
const CLAIM_SECONDS = 60;
/** How long what has failed waits for its next attempt, for each failure so far. */
const PAUSE_SECONDS = 30;

/** A dataset whose document this claim's holder is making. */
export interface Claim {
  readonly datasetId: DatasetId;
  readonly revision: string;
  readonly claim: string;
}

// What has failed need not wait any longer: the news may be what it waits for.
const MARK = `
  ON CONFLICT (dataset_id) DO UPDATE SET revision = search_pending.revision + 1,
    claimed_until = CASE WHEN search_pending.claim IS NOT NULL THEN search_pending.claimed_until END`;

/** Notes that documents may be out of date. In the order of ids, as everybody who locks several. */
export async function mark(tx: Tx, datasets: readonly DatasetId[]): Promise<void> {
  await tx.query(
    `INSERT INTO search_pending (dataset_id)
     SELECT id FROM unnest($1::integer[]) d (id) ORDER BY id ${MARK}`,
    [[...new Set(datasets)]],
  );
}

/** Notes it of all datasets after an id, and of documents whose dataset has gone; gives the last id. */
export async function markSome(
  tx: Tx,
  after: DatasetId,
  limit: number,
): Promise<{ last: DatasetId | null; count: number }> {
  const [marked] = await tx.query<{ last: DatasetId | null; count: number }>(
    `WITH next AS (
       SELECT d.id FROM datasets d
       WHERE d.id > $1 AND (d.deleted_at IS NULL
         OR EXISTS (SELECT FROM search_documents s WHERE s.dataset_id = d.id))
       ORDER BY d.id LIMIT $2
     ), marked AS (
       INSERT INTO search_pending (dataset_id) SELECT id FROM next ORDER BY id ${MARK}
     )
     SELECT max(id) AS last, count(*)::integer AS count FROM next`,
    [after, limit],
  );
  return marked ?? { last: null, count: 0 };
}

/** Takes the oldest that nobody has claimed. */
export function claimSome(tx: Tx, limit: number): Promise<Claim[]> {
  return tx.query<Claim>(
    `UPDATE search_pending p
     SET claim = gen_random_uuid(), claimed_until = now() + $2 * interval '1 second'
     WHERE dataset_id IN (
       SELECT dataset_id FROM search_pending
       WHERE claimed_until IS NULL OR claimed_until < now()
       ORDER BY marked_at, dataset_id LIMIT $1 FOR UPDATE SKIP LOCKED)
     RETURNING dataset_id AS "datasetId", revision::text AS revision, claim::text AS claim`,
    [limit, CLAIM_SECONDS],
  );
}

/**
 * Ends a claim in the transaction that writes its document: the row goes, unless the dataset was
 * marked again meanwhile. False where the claim has passed to somebody else, who has read later: then
 * nothing may be written.
 */
export async function settle(tx: Tx, { datasetId, revision, claim }: Claim): Promise<boolean> {
  const [row] = await tx.query<{ revision: string }>(
    `SELECT revision::text AS revision FROM search_pending
     WHERE dataset_id = $1 AND claim = $2 FOR UPDATE`,
    [datasetId, claim],
  );
  if (!row) return false;
  await tx.query(
    row.revision === revision
      ? 'DELETE FROM search_pending WHERE dataset_id = $1'
      : `UPDATE search_pending SET claim = NULL, claimed_until = NULL, failures = 0, marked_at = now()
         WHERE dataset_id = $1`,
    [datasetId],
  );
  return true;
}

/** Puts what has failed off, longer each time; the others go on without it. */
export async function putOff(tx: Tx, { datasetId, claim }: Claim): Promise<void> {
  await tx.query(
    `UPDATE search_pending SET failures = failures + 1, claim = NULL,
       claimed_until = now() + least(failures + 1, 20) * $3 * interval '1 second'
     WHERE dataset_id = $1 AND claim = $2`,
    [datasetId, claim, PAUSE_SECONDS],
  );
}

/** How many wait. */
export async function countPending(tx: Pick<Tx, 'query'>): Promise<number> {
  const [counted] = await tx.query<{ count: number }>(
    'SELECT count(*)::integer AS count FROM search_pending',
  );
  return counted?.count ?? 0;
}
