import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Sha256 } from '../core/ids.js';

/** A content's place in the cache, which keeps it until it is released. */
export interface Lease {
  readonly sha256: Sha256;
  /** The beginning of the names of everything that is kept of this content. */
  readonly stem: string;
  release(): void;
}

/** Where a content comes from, and how much room it takes. */
export interface Origin {
  readonly sizeBytes: number;
  open(): Promise<Readable>;
}

/** What came from the store is not the content that it was asked for. */
export class FetchedOtherBytes extends Error {
  override readonly name = 'FetchedOtherBytes';
}

/** How often the cache looks at what it holds. */
const TIDY_MS = 10_000;
/** Something half made is left alone for so long. */
const UNFINISHED_MS = 3_600_000;
const READ_BYTES = 1024 * 1024;
const DIGEST = /[0-9a-f]{64}/g;

/**
 * What reading tables needs more than once, on this machine's disk: contents of a remote store, and
 * forms of contents that are easier to read. Everything is named by the contents' hashes and can be made
 * again, so it is no loss when it goes: the longest unused goes first, what is in use never.
 */
export class TableCache {
  private readonly leases = new Map<string, number>();
  private readonly fetching = new Map<string, Promise<string>>();
  /** What is being taken away, by the content: whoever wants it waits until it is gone. */
  private readonly leaving = new Map<string, Promise<void>>();
  /** To be taken away once nobody uses it. */
  private readonly forgotten = new Set<string>();
  /** Files whose bytes have been proven, and what they were like then. */
  private readonly proven = new Map<string, string>();
  private tidying: NodeJS.Timeout | null = null;

  constructor(
    private readonly directory: string,
    private readonly maximumBytes: number,
  ) {}

  async lease(sha256: Sha256): Promise<Lease> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    for (let going = this.leaving.get(sha256); going; going = this.leaving.get(sha256)) await going;
    this.leases.set(sha256, (this.leases.get(sha256) ?? 0) + 1);
    let released = false;
    return {
      sha256,
      stem: path.join(this.directory, sha256),
      release: () => {
        if (released) return;
        released = true;
        this.release(sha256);
      },
    };
  }

  /**
   * The bytes of a leased content, fetched where they are not there yet, once for all who ask.
   * @throws FetchedOtherBytes
   */
  async bytes({ sha256, stem }: Lease, origin: Origin): Promise<string> {
    const target = `${stem}.bytes`;
    const running = this.fetching.get(target);
    if (running) return running;
    const started = this.provide(target, sha256, origin).finally(() =>
      this.fetching.delete(target),
    );
    this.fetching.set(target, started);
    return started;
  }

  /** Takes away what is too much, so that there is room for so many bytes. */
  async tidy(roomBytes = 0): Promise<void> {
    if (this.tidying) clearTimeout(this.tidying);
    this.tidying = null;
    const files = await this.files();
    let total = roomBytes + files.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const file of files.toSorted((a, b) => a.usedAt - b.usedAt)) {
      const stale = file.unfinished && Date.now() - file.usedAt > UNFINISHED_MS;
      const excess = total > this.maximumBytes && !file.unfinished;
      if (!stale && !excess) continue;
      if (await this.remove(file.name)) total -= file.bytes;
    }
  }

  /** Takes everything of a content away: now, or where it is in use as soon as it no longer is. */
  async forget(sha256: string): Promise<void> {
    for (const { name } of await this.files()) {
      if (!name.includes(sha256)) continue;
      if (!(await this.remove(name))) this.forgotten.add(sha256);
    }
    if (this.leases.has(sha256)) this.forgotten.add(sha256);
  }

  /** The contents that something is kept of. */
  async contents(): Promise<Sha256[]> {
    const names = (await this.files()).flatMap(({ name }) => name.match(DIGEST) ?? []);
    return [...new Set(names)] as Sha256[];
  }

  close(): void {
    if (this.tidying) clearTimeout(this.tidying);
    this.tidying = null;
  }

  private release(sha256: string): void {
    const left = (this.leases.get(sha256) ?? 1) - 1;
    if (left > 0) this.leases.set(sha256, left);
    else this.leases.delete(sha256);
    for (const digest of this.forgotten) {
      this.forgotten.delete(digest);
      // What cannot be taken away now is noted anew.
      void this.forget(digest);
    }
    this.tidying ??= setTimeout(() => void this.tidy().catch(() => undefined), TIDY_MS).unref();
  }

  /** @returns false where it is in use */
  private async remove(name: string): Promise<boolean> {
    const digests = name.match(DIGEST) ?? [];
    if (digests.some((digest) => this.leases.has(digest))) return false;
    const gone = rm(path.join(this.directory, name), { force: true });
    const settled = gone.catch(() => undefined).then(() => undefined);
    for (const digest of digests) this.leaving.set(digest, settled);
    try {
      await gone;
      return true;
    } finally {
      for (const digest of digests) {
        if (this.leaving.get(digest) === settled) this.leaving.delete(digest);
      }
    }
  }

  private async provide(target: string, sha256: Sha256, origin: Origin): Promise<string> {
    const stats = await stat(target).catch(() => null);
    if (stats && (await this.isSound(target, sha256, stats))) {
      // Used now; when it was written stays, since that tells a changed file.
      await utimes(target, new Date(), stats.mtime);
      return target;
    }
    await rm(target, { force: true });
    await this.tidy(origin.sizeBytes);
    try {
      return await this.fetch(target, sha256, origin);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      // The disk has less room than the cache may take: once more, with all of it that nobody uses.
      await this.tidy(Infinity);
      return this.fetch(target, sha256, origin);
    }
  }

  /** Whether a file still holds its content: read once, and again where it looks changed. */
  private async isSound(target: string, sha256: Sha256, stats: Stats): Promise<boolean> {
    if (this.proven.get(target) === likeness(stats)) return true;
    const hash = createHash('sha256');
    const bytes = createReadStream(target, { highWaterMark: READ_BYTES });
    for await (const piece of bytes) hash.update(piece as Buffer);
    if (hash.digest('hex') !== sha256) return false;
    this.proven.set(target, likeness(stats));
    return true;
  }

  private async fetch(target: string, sha256: Sha256, origin: Origin): Promise<string> {
    const partial = `${target}.${randomUUID()}.part`;
    const hash = createHash('sha256');
    const hashing = new Transform({
      transform(piece: Buffer, _, done) {
        hash.update(piece);
        done(null, piece);
      },
    });
    // Open before anything can fail: what is opened later could come to be after it was taken away.
    const file = await open(partial, 'wx', 0o400);
    try {
      await pipeline(await origin.open(), hashing, file.createWriteStream({ flush: true }));
      if (hash.digest('hex') !== sha256) {
        throw new FetchedOtherBytes(`What was fetched is not ${sha256}.`);
      }
      await rename(partial, target);
      this.proven.set(target, likeness(await stat(target)));
      return target;
    } catch (error) {
      // Closed already where the bytes had begun to come.
      await file.close().catch(() => undefined);
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

/** Another file, or one that was written to, looks another. */
function likeness({ ino, size, mtimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs}`;
}
