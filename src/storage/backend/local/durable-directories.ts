import { lstat, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from './system-errors.js';

export const DIRECTORY_MODE = 0o750;

/**
 * The codes with which Windows and some network file systems refuse to sync a directory; they keep
 * names in order by themselves.
 */
export const UNSYNCABLE = ['EPERM', 'EISDIR', 'EINVAL', 'ENOTSUP'];

/**
 * Directories whose existence, and whose entries, survive a power cut. One fsync serves everybody
 * who asked before it began.
 */
export class DurableDirectories {
  /** Those known to be real directories, made durable, below the root. */
  private readonly known = new Map<string, Promise<void>>();
  /** Those seen to be real directories, durable or not. */
  private readonly real = new Set<string>();
  private readonly syncs = new Map<
    string,
    { running: Promise<void>; next: Promise<void> | null }
  >();

  constructor(private readonly root: string) {}

  /** Makes a directory below the root, with its parents, durably. */
  ensure(directory: string): Promise<void> {
    if (directory === this.root) return Promise.resolve();
    return this.remember(directory, async () => {
      const parent = path.dirname(directory);
      await this.ensure(parent);
      await mkdir(directory, { mode: DIRECTORY_MODE }).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
      await refuseLink(directory);
      // Even where it was there already: whoever made it may have been killed before this.
      await this.sync(parent);
    });
  }

  /**
   * Passes when every directory from the root down to this one is real, not a link that leads out.
   * @throws with the code ENOENT where there is none, ENOTDIR where it is something else
   */
  async check(directory: string): Promise<void> {
    if (directory === this.root || this.real.has(directory)) return;
    await this.check(path.dirname(directory));
    await refuseLink(directory);
    this.real.add(directory);
  }

  /** Makes what has been added to, renamed in or removed from a directory durable. */
  sync(directory: string): Promise<void> {
    const current = this.syncs.get(directory);
    if (!current) return this.start(directory);
    // The running one may have begun before the caller's change: that needs another.
    current.next ??= current.running.then(
      () => this.start(directory),
      () => this.start(directory),
    );
    return current.next;
  }

  private start(directory: string): Promise<void> {
    const running = syncDirectory(directory).finally(() => {
      if (!entry.next) this.syncs.delete(directory);
    });
    const entry: { running: Promise<void>; next: Promise<void> | null } = { running, next: null };
    this.syncs.set(directory, entry);
    return running;
  }

  private remember(directory: string, make: () => Promise<void>): Promise<void> {
    let known = this.known.get(directory);
    if (!known) {
      known = make().catch((error: unknown) => {
        this.known.delete(directory);
        throw error;
      });
      this.known.set(directory, known);
    }
    return known;
  }
}

async function refuseLink(directory: string): Promise<void> {
  if ((await lstat(directory)).isDirectory()) return;
  throw Object.assign(new Error(`${directory} is not a directory`), { code: 'ENOTDIR' });
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } catch (error) {
    if (!UNSYNCABLE.includes(codeOf(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}
