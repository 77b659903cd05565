import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import type { Response } from 'express';
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { Principal } from '../../core/principal.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { RateLimited } from '../problems.js';
import { UsageWindow, WINDOW_SECONDS, type Allowance, type Unshared } from './usage-window.js';

const SHARE_EVERY_MS = 250;
const SHARED_AT_ONCE = 2000;
/** Windows that nobody counts in any more are taken away after this. */
const KEPT_SECONDS = 5 * WINDOW_SECONDS;

const SHARE = `
  INSERT INTO rate_usage AS r (subject, window_start, used)
  SELECT subject, window_start, used
  FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS u (subject, window_start, used)
  ON CONFLICT (subject, window_start) DO UPDATE SET used = r.used + excluded.used
  RETURNING subject, used`;

/**
 * Limits how often somebody may call in a minute: each credential by itself, and each network address
 * where no credential was good. A call is judged in memory; every quarter of a second replicas tell
 * each other, through the database, of whoever has used a hundredth of its limit since. So a call
 * costs no write, and somebody who spreads calls over replicas gains a moment, no more.
 */
@Injectable()
export class RateLimiter implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(RateLimiter.name);
  private readonly window = new UsageWindow();
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  /** What the database's clock is ahead of this process's, in seconds; learnt at the start. */
  private aheadSeconds = Date.now() / 1000 - performance.now() / 1000;

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG)
    private readonly config: Pick<Config, 'RATE_LIMIT_CREDENTIAL' | 'RATE_LIMIT_ADDRESS'>,
  ) {}

  onApplicationBootstrap(): void {
    this.loop = this.shareForEver();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  /** Counts a call of somebody who is known. @throws RateLimited */
  countCredential({ keyId, sessionId, userId }: Principal, res: Response): void {
    const limit = this.config.RATE_LIMIT_CREDENTIAL;
    if (limit === 0) return;
    const subject =
      keyId !== null ? `key ${keyId}` : sessionId ? `session ${sessionId}` : `user ${userId}`;
    this.judge('credential', this.window.take(subject, limit, this.now()), res);
  }

  /** Counts a call of somebody who is not, or not yet, known. @throws RateLimited */
  countAddress(address: string | null, res: Response): void {
    const limit = this.config.RATE_LIMIT_ADDRESS;
    if (limit === 0) return;
    const subject = `address ${networkOf(address ?? 'unknown')}`;
    this.judge('address', this.window.take(subject, limit, this.now()), res);
  }

  /** Tells the others what was counted here, and learns what they have counted. */
  async share(): Promise<void> {
    for (;;) {
      const told = this.window.unshared(SHARED_AT_ONCE);
      if (told.length === 0) return;
      await this.tell(told);
      if (told.length < SHARED_AT_ONCE) return;
    }
  }

  /** https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ */
  private judge(policy: string, allowance: Allowance, res: Response): void {
    const { limit, remaining, resetSeconds, isAllowed } = allowance;
    res.setHeader('RateLimit-Policy', `"${policy}";q=${limit};w=${WINDOW_SECONDS}`);
    res.setHeader('RateLimit', `"${policy}";r=${remaining};t=${resetSeconds}`);
    if (!isAllowed) throw new RateLimited(limit, WINDOW_SECONDS, resetSeconds);
  }

  private now(): number {
    return performance.now() / 1000 + this.aheadSeconds;
  }

  private async tell(told: readonly Unshared[]): Promise<void> {
    const rows = await this.unitOfWork.run((tx) =>
      tx.query<{ subject: string; used: string }>(SHARE, [
        told.map(({ subject }) => subject),
        told.map(({ windowStart }) => windowStart),
        told.map(({ calls }) => calls),
      ]),
    );
    const used = new Map(rows.map((row) => [row.subject, Number(row.used)]));
    for (const one of told) this.window.shared(one, used.get(one.subject) ?? one.calls);
  }

  private async shareForEver(): Promise<void> {
    let tidied = -Infinity;
    while (!this.stopping.signal.aborted) {
      try {
        if (performance.now() - tidied > KEPT_SECONDS * 1000) {
          await this.tidy();
          tidied = performance.now();
        }
        await this.share();
      } catch (error) {
        this.logger.warn({ err: error }, 'Rate limits are judged by this replica alone');
      }
      const pause = { signal: this.stopping.signal, ref: false };
      await sleep(SHARE_EVERY_MS, undefined, pause).catch(() => undefined);
    }
  }

  /** Learns the database's time, and takes away what no window needs any more. */
  private async tidy(): Promise<void> {
    const [row] = await this.unitOfWork.run((tx) =>
      tx.query<{ now: number }>(
        `WITH old AS (
           DELETE FROM rate_usage WHERE window_start < extract(epoch FROM now()) - $1::integer
         ) SELECT extract(epoch FROM clock_timestamp())::float8 AS now`,
        [KEPT_SECONDS],
      ),
    );
    if (row) this.aheadSeconds = row.now - performance.now() / 1000;
  }
}

/** Whoever has an IPv6 address has 2^64 of them: its network counts. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('%', 1)[0]!.split('::') as [string, string?];
  const groups = head.split(':').filter(Boolean);
  const missing =
    tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length;
  const whole = [...groups, ...Array<string>(missing).fill('0'), ...(tail ?? '').split(':')];
  return `${whole.slice(0, 4).join(':')}::/64`;
}
