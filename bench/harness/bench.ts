import { chmod, mkdir, mkdtemp, rename, statfs } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from './client.js';
import { removeFolder } from './folders.js';
import { MemoryWarmer } from './memory-warmer.js';
import { ChildProcess, run } from './processes.js';
import { projectRoot } from './project-root.js';
import { Varve } from './varve.js';

/** What statfs(2) calls a file system that is memory. */
const TMPFS_MAGIC = 0x01021994;

export interface BenchOptions {
  readonly quick: boolean;
  /** Instead of the rounds that each race has by itself. */
  readonly rounds: number | null;
}

type Closer = () => Promise<void> | void;

/**
 * What the measurements of one suite share: a folder on a real disk, the load generator, the server
 * under test. Everything made through it is gone after `close`.
 */
export class Bench {
  private readonly closers: Closer[] = [];
  private sharedVarve: Promise<Varve> | null = null;
  private builtClient: Promise<Client> | null = null;
  private warmer: Promise<MemoryWarmer> | null = null;
  private stamps = BigInt(Date.now());

  private constructor(
    readonly root: string,
    private readonly options: BenchOptions,
  ) {}

  /** Smaller sizes and a single round: shows that everything runs, and measures nothing. */
  get quick(): boolean {
    return this.options.quick;
  }

  /** How many rounds a race has, where its definition says `usual`. */
  rounds(usual: number): number {
    return this.quick ? 1 : (this.options.rounds ?? usual);
  }

  static async open(options: BenchOptions): Promise<Bench> {
    const base = await diskFolder();
    const root = await mkdtemp(path.join(base, 'varve-bench-'));
    // The embedded PostgreSQL and nginx's workers give up root: they must get in.
    await chmod(root, 0o755);
    const bench = new Bench(root, options);
    process.once('exit', () => {
      ChildProcess.killAll();
      rmSync(root, { recursive: true, force: true });
    });
    return bench;
  }

  /** A new empty folder; all of them lie on the same disk. */
  async folder(name: string): Promise<string> {
    const folder = path.join(this.root, name);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /**
   * Takes a folder of many small files out of the way until the suite ends. Deleting them at once
   * would be paid for by whoever makes files next: for minutes ext4 does not give a deleted inode
   * away again, and looks at each of them whenever it needs one (`recently_deleted` in its ialloc.c).
   */
  async putAway(folder: string): Promise<void> {
    await rename(folder, path.join(await this.folder('put-away'), String(this.nextStamp())));
  }

  /** A number that no run has used before, so that no two bodies are alike. */
  nextStamp(): bigint {
    this.stamps += 1n;
    return this.stamps;
  }

  /** Runs when the suite ends, the newest first. */
  defer(closer: Closer): void {
    this.closers.push(closer);
  }

  /** The load generator, compiled at its first use. @throws LeftOut where there is no compiler */
  client(): Promise<Client> {
    return (this.builtClient ??= this.folder('tools').then((folder) => Client.build(folder)));
  }

  /** The server that most measurements share. */
  varve(): Promise<Varve> {
    return (this.sharedVarve ??= this.startVarve('varve'));
  }

  /** A server of its own for a measurement that needs a fresh one, or other settings. */
  async startVarve(name: string, settings: Readonly<Record<string, string>> = {}): Promise<Varve> {
    const server = await Varve.start(await this.folder(name), settings);
    this.defer(() => server.stop());
    return server;
  }

  /** Leaves the disk idle and no memory untouched, as every contestant is to find them. */
  async settle(): Promise<void> {
    await run('sync', []);
    await (await (this.warmer ??= MemoryWarmer.open(this))).warm();
  }

  async close(): Promise<void> {
    for (let closer = this.closers.pop(); closer; closer = this.closers.pop()) await closer();
    await removeFolder(this.root);
  }
}

/** Durability costs nothing in memory: where the temporary folder is one, the project's disk is used. */
async function diskFolder(): Promise<string> {
  if ((await statfs(tmpdir())).type !== TMPFS_MAGIC) return tmpdir();
  const folder = path.join(projectRoot, 'data');
  await mkdir(folder, { recursive: true });
  return folder;
}
