import { Inject, Injectable } from '@nestjs/common';
import {
  UNIT_OF_WORK,
  type PreparedSql,
  type UnitOfWork,
} from '../../core/contracts/unit-of-work.js';
import type { SessionId, Sha256, UserId } from '../../core/ids.js';
import type { Principal, Role } from '../../core/principal.js';

const FIND: PreparedSql = {
  name: 'session-lookup',
  text: `SELECT s.id AS "sessionId", u.id AS "userId", u.name, u.role
    FROM session_tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id
    WHERE t.token_hash = $1 AND t.kind = 'access' AND t.expires_at > now()
      AND s.ended_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL`,
};

/** Finds whose login an access token is of. */
@Injectable()
export class SessionLookup {
  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /** Null unless it is a living access token of a living user. */
  async find(hash: Sha256): Promise<Principal | null> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<{ sessionId: SessionId; userId: UserId; name: string; role: Role }>(FIND, [hash]),
    );
    return row ? { ...row, keyId: null } : null;
  }
}
