import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { CONFIG, type Config } from '../../platform/config/config.js';

const SEALED_AT_ONCE = 1000;
const TRIMMED_AT_ONCE = 5000;
const CHECKED_AT_ONCE = 2000;
/** For how long at most an entry waits for its place in the chain. */
const SEAL_EVERY_MS = 1000;
const TRIM_EVERY_MS = 3_600_000;

/** What became of checking a part of the chain. */
export interface ChainCheck {
  readonly valid: boolean;
  /** How many entries were looked at. */
  readonly checked: number;
  /** The last of them, from which checking can go on; null where there was none. */
  readonly last: { readonly seq: number; readonly hash: string } | null;
  readonly complete: boolean;
  /** The first place that is not as it was written, and what is wrong there. */
  readonly broken: { readonly seq: number; readonly reason: string } | null;
}

interface Link {
  readonly seq: string;
  readonly hash: string;
  readonly previous: string;
  readonly intact: boolean;
}

/**
 * Chains the entries of the audit log: each carries the hash of the one before, so that none can be
 * changed, left out or put in without all that follow. Entries are written without a place and get
 * it a moment later, by one replica at a time: a chain that each writer extended itself would have
 * all writers of the server wait for one another.
 */
@Injectable()
export class AuditChain implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(AuditChain.name);
  private readonly stopping = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'AUDIT_RETENTION'>,
  ) {}

  onApplicationBootstrap(): void {
    this.loop = this.sealForEver();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.loop;
  }

  /** Gives every entry that has committed by now its place in the chain. */
  async seal(): Promise<void> {
    let sealed: number;
    do {
      sealed = await this.unitOfWork.run(async (tx) => {
        const [row] = await tx.query<{ sealed: number }>('SELECT seal_audit_log($1) AS sealed', [
          SEALED_AT_ONCE,
        ]);
        return row?.sealed ?? 0;
      });
    } while (sealed === SEALED_AT_ONCE);
  }

  /** Lets go of what is older than `AUDIT_RETENTION`; the chain then begins after it. */
  async trim(): Promise<void> {
    let trimmed: number;
    do {
      trimmed = await this.unitOfWork.run(async (tx) => {
        const [row] = await tx.query<{ trimmed: number }>(
          'SELECT trim_audit_log($1, $2) AS trimmed',
          [this.config.AUDIT_RETENTION, TRIMMED_AT_ONCE],
        );
        return row?.trimmed ?? 0;
      });
    } while (trimmed === TRIMMED_AT_ONCE);
  }

  /**
   * Computes the hashes of up to `limit` entries anew and compares them, from the beginning or from
   * behind a place whose hash the caller has from an earlier check.
   */
  async verify(from: { seq: number; hash: string } | null, limit: number): Promise<ChainCheck> {
    let last = from ?? (await this.unitOfWork.read(beginning));
    let checked = 0;
    if (from !== null && !(await this.unitOfWork.read((tx) => stands(tx, from)))) {
      const broken = { seq: from.seq, reason: 'no such entry has this hash' };
      return { valid: false, checked, last: null, complete: false, broken };
    }
    while (checked < limit) {
      const wanted = Math.min(CHECKED_AT_ONCE, limit - checked);
      const links = await this.unitOfWork.read((tx) => linksAfter(tx, last.seq, wanted));
      for (const link of links) {
        const reason = complaint(link, last);
        if (reason !== null) {
          const broken = { seq: last.seq + 1, reason };
          return { valid: false, checked, last: known(last), complete: false, broken };
        }
        last = { seq: Number(link.seq), hash: link.hash };
        checked++;
      }
      if (links.length < wanted) {
        return { valid: true, checked, last: known(last), complete: true, broken: null };
      }
    }
    return { valid: true, checked, last: known(last), complete: false, broken: null };
  }

  private async sealForEver(): Promise<void> {
    let trimmedAt = -Infinity;
    while (!this.stopping.signal.aborted) {
      try {
        await this.seal();
        if (performance.now() - trimmedAt > TRIM_EVERY_MS) {
          await this.trim();
          trimmedAt = performance.now();
        }
      } catch (error) {
        this.logger.warn({ err: error }, 'The audit log could not be chained; trying again');
      }
      const pause = { signal: this.stopping.signal, ref: false };
      await sleep(SEAL_EVERY_MS, undefined, pause).catch(() => undefined);
    }
  }
}

/** What the chain's first entry follows: what was let go last, or nothing. */
async function beginning(tx: Reader): Promise<{ seq: number; hash: string }> {
  const [row] = await tx.query<{ seq: string; hash: string }>(
    `SELECT seq, encode(hash, 'hex') AS hash FROM audit_trims ORDER BY seq DESC LIMIT 1`,
  );
  return row ? { seq: Number(row.seq), hash: row.hash } : { seq: 0, hash: '0'.repeat(64) };
}

/** Whether the chain, or what was let go of it last, still has this hash in this place. */
async function stands(tx: Reader, { seq, hash }: { seq: number; hash: string }): Promise<boolean> {
  const rows = await tx.query(
    `SELECT FROM audit_log WHERE seq = $1 AND hash = decode($2, 'hex')
     UNION ALL SELECT FROM audit_trims WHERE seq = $1 AND hash = decode($2, 'hex')`,
    [seq, hash],
  );
  return rows.length > 0;
}

function linksAfter(tx: Reader, seq: number, limit: number): Promise<Link[]> {
  return tx.query<Link>(
    `SELECT a.seq, encode(a.hash, 'hex') AS hash, encode(a.previous_hash, 'hex') AS previous,
       audit_digest(a, a.seq, a.previous_hash) = a.hash AS intact
     FROM audit_log a WHERE a.seq > $1 ORDER BY a.seq LIMIT $2`,
    [seq, limit],
  );
}

function complaint(link: Link, last: { seq: number; hash: string }): string | null {
  if (Number(link.seq) !== last.seq + 1) return 'the entry is missing';
  if (link.previous !== last.hash) return 'it does not follow the entry before it';
  return link.intact ? null : 'it does not say what was written';
}

function known(last: { seq: number; hash: string }): { seq: number; hash: string } | null {
  return last.seq === 0 ? null : last;
}
