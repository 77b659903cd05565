import { Injectable } from '@nestjs/common';
import type { ContentDisposal } from '../../core/contracts/file-catalog.js';
import type { Tx } from '../../core/contracts/unit-of-work.js';
import type { FileId, UserId } from '../../core/ids.js';

/** Lets contents go that must not wait for anybody. */
@Injectable()
export class SqlContentDisposal implements ContentDisposal {
  async expel(tx: Tx, file: FileId, holder?: UserId): Promise<{ isGone: boolean }> {
    await tx.query('SELECT 1 FROM files WHERE id = $1 FOR NO KEY UPDATE', [file]);
    // Unreferenced since for ever: no grace is longer.
    const [row] = await tx.query<{ isGone: boolean }>(
      `WITH ended AS (DELETE FROM upload_holds WHERE file_id = $1 AND ($2::integer IS NULL OR user_id = $2) RETURNING 1)
       UPDATE files SET reference_count = reference_count - (SELECT count(*) FROM ended),
         unreferenced_since = CASE WHEN reference_count = (SELECT count(*) FROM ended)
           THEN to_timestamp(0) END
       WHERE id = $1 RETURNING reference_count = 0 AS "isGone"`,
      [file, holder ?? null],
    );
    return { isGone: row?.isGone ?? true };
  }
}
