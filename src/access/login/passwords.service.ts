import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { Sha256, UserId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { Forbidden, NotFound } from '../../core/problems.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { hashSecret } from '../key-secret.js';
import { LoginRefused } from '../problems.js';
import { PasswordHashes } from './password-hashes.js';
import { Sessions, type TokenPair } from './sessions.js';

interface Account {
  readonly userId: UserId;
  readonly hash: string;
}

/** Passwords of a small team that has no OpenID provider: signing in, setting and changing them. */
@Injectable()
export class PasswordsService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'LOGIN_ATTEMPTS' | 'LOGIN_LOCK'>,
    private readonly hashes: PasswordHashes,
    private readonly sessions: Sessions,
  ) {}

  /**
   * Opens a session. A name that nobody has, one that is locked and a wrong password are answered
   * alike, after the same work.
   * @throws LoginRefused
   */
  async signIn(name: string, password: string): Promise<TokenPair> {
    const account = await this.mayTry(name);
    if (!(await this.hashes.matches(account?.hash ?? null, password)) || !account) {
      throw new LoginRefused();
    }
    const pair = await this.unitOfWork.run(async (tx) => {
      // Disabled or given another password while this one was being checked.
      const [same] = await tx.query(
        `SELECT FROM passwords p JOIN users u ON u.id = p.user_id
         WHERE p.user_id = $1 AND p.hash = $2 AND u.disabled_at IS NULL FOR KEY SHARE OF p`,
        [account.userId, account.hash],
      );
      if (!same) return null;
      await tx.query('DELETE FROM login_attempts WHERE name_hash = $1', [nameHash(name)]);
      return this.sessions.open(tx, account.userId);
    });
    if (!pair) throw new LoginRefused();
    return pair;
  }

  /** Gives a user a password, and ends the sessions that another one opened. @throws NotFound */
  async set(user: UserId, password: string): Promise<void> {
    const hash = await this.hashes.hash(password);
    await this.unitOfWork.run(async (tx) => {
      const [known] = await tx.query('SELECT id FROM users WHERE id = $1 FOR KEY SHARE', [user]);
      if (!known) throw new NotFound(`User ${user}`);
      await tx.query(
        `INSERT INTO passwords (user_id, hash) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed_at = now()`,
        [user, hash],
      );
      await this.sessions.endAll(tx, user, 'password');
    });
  }

  /** Changes the caller's own. @throws Forbidden where the present one is not right */
  async change(principal: Principal, present: string, password: string): Promise<void> {
    const account = await this.mayTry(principal.name);
    const matches = await this.hashes.matches(account?.hash ?? null, present);
    if (!matches || account?.userId !== principal.userId) {
      throw new Forbidden('The present password is not right, or there is none.');
    }
    await this.set(principal.userId, password);
    await this.unitOfWork.run((tx) =>
      tx.query('DELETE FROM login_attempts WHERE name_hash = $1', [nameHash(principal.name)]),
    );
  }

  /** Takes a user's password away; it can then not sign in with one. @throws NotFound */
  async remove(user: UserId): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const [gone] = await tx.query('DELETE FROM passwords WHERE user_id = $1 RETURNING user_id', [
        user,
      ]);
      if (!gone) throw new NotFound(`A password of user ${user}`);
      await this.sessions.endAll(tx, user, 'password');
    });
  }

  /**
   * Counts the attempt before it is made, so that many at once are not each the first, and gives the
   * account to try it on; null where there is none, or where it is locked.
   */
  private mayTry(name: string): Promise<Account | null> {
    return this.unitOfWork.run(async (tx) => {
      await tx.query(
        `DELETE FROM login_attempts WHERE name_hash IN (
           SELECT name_hash FROM login_attempts WHERE counts_until < now()
           ORDER BY counts_until LIMIT 20 FOR UPDATE SKIP LOCKED)`,
      );
      const [attempt] = await tx.query<{ failures: number }>(
        `INSERT INTO login_attempts AS a (name_hash, failures, counts_until)
         VALUES ($1, 1, now() + $2 * interval '1 millisecond')
         ON CONFLICT (name_hash) DO UPDATE SET
           failures = CASE WHEN a.counts_until < now() THEN 1 ELSE a.failures + 1 END,
           -- A locked name stays locked for as long as it was told, not for as long as it is tried.
           counts_until = CASE WHEN a.counts_until >= now() AND a.failures >= $3
             THEN a.counts_until ELSE excluded.counts_until END
         RETURNING failures`,
        [nameHash(name), this.config.LOGIN_LOCK, this.config.LOGIN_ATTEMPTS],
      );
      const [account] = await tx.query<Account>(
        `SELECT p.user_id AS "userId", p.hash FROM users u JOIN passwords p ON p.user_id = u.id
         WHERE u.name = $1 AND u.disabled_at IS NULL`,
        [name],
      );
      const locked = attempt!.failures > this.config.LOGIN_ATTEMPTS;
      return locked ? null : (account ?? null);
    });
  }
}

function nameHash(name: string): Sha256 {
  return hashSecret(name);
}
