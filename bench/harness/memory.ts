import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KIB } from './figures.js';
import { LeftOut } from './left-out.js';

const SAMPLE_EVERY_MS = 100;

/** Looks at a process, ten times a second, and keeps the highest figure: of its whole tree, unless told. */
export class MemoryWatch {
  private peak = 0;
  private readonly stopping = new AbortController();
  private readonly watching: Promise<void>;

  private constructor(
    private readonly pid: number,
    private readonly measure: (pid: number) => Promise<number>,
  ) {
    this.watching = this.watch();
  }

  static start(pid: number, measure = treeBytes): MemoryWatch {
    return new MemoryWatch(pid, measure);
  }

  /** The highest figure since the start or the last call, in bytes. */
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
      this.peak = Math.max(this.peak, await this.measure(this.pid));
      await sleep(SAMPLE_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/**
 * What a process and its descendants hold now, in bytes: proportional set sizes, so that pages which
 * PostgreSQL's processes share count once. @throws LeftOut where /proc lacks it
 */
export async function treeBytes(root: number): Promise<number> {
  const sizes = await Promise.all((await processesOf(root)).map(processBytes));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** The most that one of the living descendants that run a program has held so far, in bytes. */
export async function largestPeakBytes(root: number, program: string): Promise<number> {
  const peaks = (await processesOf(root)).map(async (pid) => {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (!command.includes(program)) return 0;
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * KIB;
  });
  return Math.max(0, ...(await Promise.all(peaks)));
}

async function processesOf(root: number): Promise<number[]> {
  const parents = await parentsOfAll();
  const isInTree = (pid: number | undefined): boolean =>
    pid !== undefined && (pid === root || isInTree(parents.get(pid)));
  return [...parents.keys()].filter(isInTree);
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
export async function processBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * KIB;
}
