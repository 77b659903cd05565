import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import type { CredentialWatch } from '../core/contracts/credential-watch.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { Principal } from '../core/principal.js';

const LOOK_EVERY_MS = 500;

interface Watched {
  readonly principal: Principal;
  readonly onEnded: () => void;
}

/** Looks after those who are watched, all with one statement, for as long as there are any. */
@Injectable()
export class CredentialWatcher implements CredentialWatch, OnApplicationShutdown {
  private readonly logger = new Logger(CredentialWatcher.name);
  private readonly watched = new Set<Watched>();
  private timer: NodeJS.Timeout | null = null;
  private looking: Promise<void> | null = null;

  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  watch(principal: Principal, onEnded: () => void): () => void {
    const one = { principal, onEnded };
    this.watched.add(one);
    this.timer ??= setInterval(() => {
      this.looking ??= this.look();
    }, LOOK_EVERY_MS).unref();
    return () => this.forget(one);
  }

  async onApplicationShutdown(): Promise<void> {
    for (const one of this.watched) this.forget(one);
    await this.looking;
  }

  private forget(one: Watched): void {
    this.watched.delete(one);
    if (this.watched.size > 0 || this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
  }

  private async look(): Promise<void> {
    try {
      const all = [...this.watched];
      const ended = await this.ended(all.map(({ principal }) => principal));
      for (const [index, one] of all.entries()) {
        if (!ended.has(index) || !this.watched.has(one)) continue;
        this.forget(one);
        one.onEnded();
      }
    } catch (error) {
      // Nobody is let in anew meanwhile; who is in stays until this can be told again.
      this.logger.warn({ err: error }, 'Whether open streams may go on could not be looked up');
    } finally {
      this.looking = null;
    }
  }

  /** The places in the list of those whose credentials have ended. */
  private async ended(principals: readonly Principal[]): Promise<Set<number>> {
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ place: number }>(
        `SELECT w.place::integer - 1 AS place
         FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::bigint[])
           WITH ORDINALITY AS w (user_id, key_id, session_id, expires_ms, place)
         WHERE NOT EXISTS (
             SELECT FROM users u WHERE u.id = w.user_id AND u.disabled_at IS NULL)
           OR w.expires_ms <= extract(epoch FROM now()) * 1000
           OR (w.key_id IS NOT NULL AND NOT EXISTS (
             SELECT FROM api_keys k WHERE k.id = w.key_id AND k.revoked_at IS NULL
               AND (k.expires_at IS NULL OR k.expires_at > now())))
           OR (w.session_id IS NOT NULL AND NOT EXISTS (
             SELECT FROM sessions s WHERE s.id = w.session_id AND s.ended_at IS NULL
               AND s.expires_at > now()))`,
        [
          principals.map(({ userId }) => userId),
          principals.map(({ keyId }) => keyId),
          principals.map(({ sessionId }) => sessionId ?? null),
          principals.map(({ expiresAtMs }) => (expiresAtMs ? Math.floor(expiresAtMs) : null)),
        ],
      ),
    );
    return new Set(rows.map(({ place }) => place));
  }
}
