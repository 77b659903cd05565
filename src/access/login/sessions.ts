import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { SessionId, UserId } from '../../core/ids.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { Authenticator } from '../authenticator.js';
import { hashSecret } from '../key-secret.js';
import { RefreshRefused } from '../problems.js';
import { makeSessionToken } from './session-token.js';

/** What a login gives: a token to work with for a short time, and one to get the next pair with. */
export interface TokenPair {
  readonly accessToken: string;
  readonly accessTtlMs: number;
  readonly refreshToken: string;
  readonly refreshTtlMs: number;
}

type EndReason = 'logout' | 'reuse' | 'password';

/** Opens, renews and ends the sessions of those who have signed in with a password. */
@Injectable()
export class Sessions {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'ACCESS_TOKEN_TTL' | 'SESSION_TTL'>,
    private readonly authenticator: Authenticator,
  ) {}

  /** Opens a session in the caller's transaction. */
  async open(tx: Tx, user: UserId): Promise<TokenPair> {
    const [session] = await tx.query<{ id: SessionId }>(
      `INSERT INTO sessions (user_id, expires_at)
       VALUES ($1, now() + $2 * interval '1 millisecond') RETURNING id`,
      [user, this.config.SESSION_TTL],
    );
    await forgetOld(tx);
    return this.issue(tx, session!.id);
  }

  /**
   * Takes a refresh token, which works once, for the next pair. One that has been used before is in
   * the hands of two, of whom one has stolen it: the session ends for both.
   * @throws RefreshRefused
   */
  async refresh(refreshToken: string): Promise<TokenPair> {
    const pair = await this.unitOfWork.run(async (tx) => {
      const [found] = await tx.query<{ session: SessionId; used: boolean; usable: boolean }>(
        `SELECT s.id AS session, t.used_at IS NOT NULL AS used,
           t.expires_at > now() AND s.ended_at IS NULL AND s.expires_at > now()
             AND u.disabled_at IS NULL AS usable
         FROM session_tokens t JOIN sessions s ON s.id = t.session_id
         JOIN users u ON u.id = s.user_id
         WHERE t.token_hash = $1 AND t.kind = 'refresh' FOR UPDATE OF t, s`,
        [hashSecret(refreshToken)],
      );
      if (found?.used) await this.end(tx, [found.session], 'reuse');
      if (!found?.usable || found.used) return null;
      await tx.query('UPDATE session_tokens SET used_at = now() WHERE token_hash = $1', [
        hashSecret(refreshToken),
      ]);
      await tx.query(`DELETE FROM session_tokens WHERE session_id = $1 AND kind = 'access'`, [
        found.session,
      ]);
      this.authenticator.forgetAfterCommit(tx);
      return this.issue(tx, found.session);
    });
    // Only now: thrown inside, it would undo that the session has ended.
    if (!pair) throw new RefreshRefused();
    return pair;
  }

  /** Ends sessions, on every replica within a second. */
  async end(tx: Tx, sessions: readonly SessionId[], because: EndReason): Promise<void> {
    await tx.query(
      `UPDATE sessions SET ended_at = now(), ended_because = $2
       WHERE id = ANY ($1::integer[]) AND ended_at IS NULL`,
      [sessions, because],
    );
    this.authenticator.forgetAfterCommit(tx);
  }

  /** Ends all of a user's sessions. */
  async endAll(tx: Tx, user: UserId, because: EndReason): Promise<void> {
    await tx.query(
      `UPDATE sessions SET ended_at = now(), ended_because = $2
       WHERE user_id = $1 AND ended_at IS NULL`,
      [user, because],
    );
    this.authenticator.forgetAfterCommit(tx);
  }

  private async issue(tx: Tx, session: SessionId): Promise<TokenPair> {
    const [accessToken, refreshToken] = [makeSessionToken(), makeSessionToken()];
    const { ACCESS_TOKEN_TTL: accessTtlMs, SESSION_TTL: refreshTtlMs } = this.config;
    await tx.query(
      `INSERT INTO session_tokens (token_hash, session_id, kind, expires_at)
       SELECT t.token_hash, s.id, t.kind,
         least(s.expires_at, now() + t.ttl * interval '1 millisecond')
       FROM sessions s, (VALUES ($2, 'access', $3::bigint), ($4, 'refresh', $5::bigint))
         AS t (token_hash, kind, ttl) WHERE s.id = $1`,
      [session, hashSecret(accessToken), accessTtlMs, hashSecret(refreshToken), refreshTtlMs],
    );
    return { accessToken, accessTtlMs, refreshToken, refreshTtlMs };
  }
}

/** Takes a few of what has long expired away at each login: it never piles up, and costs nobody much. */
async function forgetOld(tx: Tx): Promise<void> {
  await tx.query(
    `DELETE FROM sessions WHERE id IN (
       SELECT id FROM sessions WHERE expires_at < now() - interval '1 day'
       ORDER BY expires_at LIMIT 20 FOR UPDATE SKIP LOCKED)`,
  );
}
