import { Readable } from 'node:stream';
import type { VersionEntry } from '../../core/contracts/versions.js';
import type { ArchiveEntry } from './archive-entry.js';

/** How many contents a manifest names; the rest it counts. */
const NAMED = 10_000;

const NAME = /^PURGED(-\d+)?\.json$/;

/** Keeps what an archive leaves out, and says so in a file of its own at the end. */
export class LeftOut {
  readonly #named: unknown[] = [];
  readonly #taken = new Set<string>();
  #count = 0;

  /** Whether an entry is to be left out: its content was purged. */
  leavesOut({ path, sha256, sizeBytes, purged }: VersionEntry): boolean {
    if (NAME.test(path)) this.#taken.add(path);
    if (!purged) return false;
    this.#count += 1;
    if (this.#named.length < NAMED) this.#named.push({ path, sha256, sizeBytes, ...purged });
    return true;
  }

  /** The manifest, where anything was left out: `PURGED.json`, or a name that no file of it has. */
  *manifest(): Generator<ArchiveEntry> {
    if (this.#count === 0) return;
    let path = 'PURGED.json';
    for (let n = 1; this.#taken.has(path); n++) path = `PURGED-${n}.json`;
    const text = JSON.stringify({ purgedCount: this.#count, purged: this.#named }, null, 2);
    const bytes = Buffer.from(`${text}\n`);
    yield { path, sizeBytes: bytes.length, open: () => Promise.resolve(Readable.from([bytes])) };
  }
}
