import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KIB } from './figures.js';
import { LeftOut } from './left-out.js';

const SAMPLE_EVERY_MS = 100;

/**
 * Watches the memory of a process with all its descendants: proportional set sizes, so that pages
 * which PostgreSQL's processes share count once.
 */
export class MemoryWatch {
  private peak = 0;
  private readonly stopping = new AbortController();
  private readonly watching: Promise<void>;

  private constructor(private readonly pid: number) {
    this.watching = this.watch();
  }

  static start(pid: number): MemoryWatch {
    return new MemoryWatch(pid);
  }

  /** The highest sum since the start or the last call, in bytes. */
  takePeak(): number {
    const { peak } = this;
    this.peak = 0;
    return peak;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.watching;
  }

  private async watch(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      this.peak = Math.max(this.peak, await treeBytes(this.pid));
      await sleep(SAMPLE_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** What a process and its descendants hold now, in bytes. @throws LeftOut where /proc lacks it */
export async function treeBytes(root: number): Promise<number> {
  const parents = await parentsOfAll();
  const isInTree = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isInTree(parents.get(pid)));
  const sizes = await Promise.all([...parents.keys()].filter(isInTree).map(processBytes));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function parentsOfAll(): Promise<Map<number, number>> {
  const entries = await readdir('/proc').catch(() => {
    throw new LeftOut('memory is read from /proc, which this system lacks');
  });
  const pids = entries.filter((entry) => /^\d+$/.test(entry));
  const stats = await Promise.all(
    pids.map(async (pid) => {
      // The name, in parentheses, may hold anything: fields are counted from its end.
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
      const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
      return [Number(pid), Number(parent ?? 0)] as const;
    }),
  );
  return new Map(stats);
}

/** 0 for a process that has just ended. */
async function processBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * KIB;
}
