import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Sha256 } from '../core/ids.js';

/** A content's place in the cache, which keeps it until it is released. */
export interface Lease {
  /** The beginning of the names of everything that is kept of this content. */
  readonly stem: string;
  release(): void;
}

/** How often the cache looks at what it holds. */
const TIDY_MS = 10_000;
/** Something half made is left alone for so long. */
const UNFINISHED_MS = 3_600_000;

/**
 * What reading tables needs more than once, on this machine's disk: contents of a remote store, and
 * forms of contents that are easier to read. Everything is named by the content's hash and can be made
 * again, so it is no loss when it goes: the longest unused goes first.
 */
export class TableCache {
  private readonly leases = new Map<string, number>();
  private readonly fetching = new Map<string, Promise<string>>();
  private tidying: NodeJS.Timeout | null = null;

  constructor(
    private readonly directory: string,
    private readonly maximumBytes: number,
  ) {}

  async lease(sha256: Sha256): Promise<Lease> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    this.leases.set(sha256, (this.leases.get(sha256) ?? 0) + 1);
    let released = false;
    return {
      stem: path.join(this.directory, sha256),
      release: () => {
        if (released) return;
        released = true;
        const left = (this.leases.get(sha256) ?? 1) - 1;
        if (left > 0) this.leases.set(sha256, left);
        else this.leases.delete(sha256);
        this.tidying ??= setTimeout(() => void this.tidy(), TIDY_MS).unref();
      },
    };
  }

  /** The bytes of a leased content, fetched where they are not there yet, once for all who ask. */
  async bytes({ stem }: Lease, fetch: () => Promise<Readable>): Promise<string> {
    const target = `${stem}.bytes`;
    const now = new Date();
    const isThere = await utimes(target, now, now).then(
      () => true,
      () => false,
    );
    if (isThere) return target;
    const running = this.fetching.get(target);
    if (running) return running;
    const started = this.fetch(target, fetch).finally(() => this.fetching.delete(target));
    this.fetching.set(target, started);
    return started;
  }

  /** Takes away what is too much. */
  async tidy(): Promise<void> {
    if (this.tidying) clearTimeout(this.tidying);
    this.tidying = null;
    const files = await this.files();
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const file of files.toSorted((a, b) => a.usedAt - b.usedAt)) {
      const stale = file.unfinished && Date.now() - file.usedAt > UNFINISHED_MS;
      if (!stale && (total <= this.maximumBytes || file.unfinished)) continue;
      if (this.leases.has(file.content)) continue;
      await rm(path.join(this.directory, file.name), { force: true });
      total -= file.bytes;
    }
  }

  close(): void {
    if (this.tidying) clearTimeout(this.tidying);
    this.tidying = null;
  }

  private async fetch(target: string, fetch: () => Promise<Readable>): Promise<string> {
    const partial = `${target}.${randomUUID()}.part`;
    try {
      await pipeline(await fetch(), createWriteStream(partial, { mode: 0o400 }));
      await rename(partial, target);
      return target;
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  private async files() {
    const names = await readdir(this.directory).catch(() => []);
    const found = await Promise.all(
      names.map(async (name) => {
        const stats = await stat(path.join(this.directory, name)).catch(() => null);
        return (
          stats && {
            name,
            content: name.slice(0, 64),
            unfinished: name.includes('.part'),
            bytes: stats.size,
            usedAt: Math.max(stats.atimeMs, stats.mtimeMs),
          }
        );
      }),
    );
    return found.filter((file) => file !== null);
  }
}
