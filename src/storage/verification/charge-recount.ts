import { usedBytesSql } from '../quotas/quota-usage.js';
import type { Findings } from './findings.js';
import type { VerifiedDatabase } from './verified-database.js';

/**
 * Counts what holders with a quota have, and compares it with what they are charged for. More may be
 * charged than is held, as nothing is given back before the next count; less never.
 */
export async function recountCharges(
  database: VerifiedDatabase,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  for (const type of ['user', 'dataset'] as const) {
    const holders = await database.query<{ id: number }>(
      'SELECT holder_id AS id FROM storage_usage WHERE holder_type = $1 ORDER BY holder_id',
      [type],
    );
    for (const { id } of holders) {
      signal.throwIfAborted();
      // One statement, hence of one moment: a charge and what it is for commit together.
      const [found] = await database.query<{ charged: string; used: string; isLow: boolean }>(
        `WITH counted AS (SELECT ${usedBytesSql(type, '$2')} AS used)
         SELECT charged_bytes AS charged, used, charged_bytes < used AS "isLow"
         FROM storage_usage, counted WHERE holder_type = $1 AND holder_id = $2`,
        [type, id],
      );
      if (!found?.isLow) continue;
      findings.add({
        kind: 'storage-charge',
        holderType: type,
        holderId: id,
        expected: found.used,
        actual: found.charged,
      });
    }
  }
}
