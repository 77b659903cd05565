import { spawn, type ChildProcess as Child } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { access, constants, readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LeftOut } from './left-out.js';

const START_LIMIT_MS = 60_000;
const RUN_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 40_000;

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly limitMs?: number;
  /** Called with each line of stdout as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface ServerOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Where stdout and stderr go. */
  readonly logFile: string;
  /** What the log says once the server listens; its first group is the port. */
  readonly ready: RegExp;
}

/** A server that runs beside the benchmark, alone in its process group. */
export class ChildProcess {
  private static readonly running = new Set<ChildProcess>();

  private constructor(
    private readonly child: Child,
    readonly port: number,
  ) {
    ChildProcess.running.add(this);
    child.once('exit', () => ChildProcess.running.delete(this));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Starts a server and waits until its log says that it listens. */
  static async start(
    command: string,
    args: readonly string[],
    options: ServerOptions,
  ): Promise<ChildProcess> {
    const log = openSync(options.logFile, 'w');
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    const ending: { how?: string } = {};
    child.once('error', (error) => (ending.how = error.message));
    child.once('exit', (code, signal) => (ending.how = `it ended with ${code ?? signal}`));
    const started = performance.now();
    for (;;) {
      const text = await readFile(options.logFile, 'utf8');
      const ready = options.ready.exec(text);
      if (ready) return new ChildProcess(child, Number(ready[1] ?? 0));
      if (ending.how) {
        throw new Error(`${path.basename(command)}: ${ending.how}: ${lastLine(text)}`);
      }
      if (performance.now() - started > START_LIMIT_MS) {
        child.kill('SIGKILL');
        throw new Error(`${path.basename(command)} did not start: ${lastLine(text)}`);
      }
      await sleep(20);
    }
  }

  /** Asks it to end, and ends it where it does not. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise<true>((resolve) => this.child.once('exit', () => resolve(true)));
    this.child.kill('SIGTERM');
    const waiting = new AbortController();
    const late = sleep(STOP_LIMIT_MS, false, { signal: waiting.signal }).catch(() => false);
    if (!(await Promise.race([ended, late]))) this.kill();
    waiting.abort();
    await ended;
  }

  /** Ends every server that still runs, with its children: for a run that is cut off. */
  static killAll(): void {
    for (const server of ChildProcess.running) server.kill();
  }

  private kill(): void {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }
}

/** Runs a command to its end and gives its stdout. @throws Error with the last line of its stderr */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out: string[] = [];
    let complaint = '';
    let unended = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out.push(text);
      if (!options.onLine) return;
      const lines = (unended + text).split('\n');
      unended = lines.pop() ?? '';
      lines.forEach(options.onLine);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-4000);
    });
    const limitMs = options.limitMs ?? RUN_LIMIT_MS;
    const limit = setTimeout(() => {
      complaint = `took longer than ${limitMs / 1000} s`;
      child.kill('SIGKILL');
    }, limitMs);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(limit);
      if (code === 0) resolve(out.join(''));
      else reject(new Error(`${path.basename(command)}: ${lastLine(complaint)}`));
    });
  });
}

/** Where a program lies. @throws LeftOut naming it and the package that has it */
export async function findProgram(name: string, debianPackage = name): Promise<string> {
  const folders = [
    ...(process.env.PATH ?? '').split(path.delimiter),
    '/usr/sbin',
    '/usr/local/sbin',
  ];
  for (const folder of folders) {
    const candidate = path.join(folder, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  throw new LeftOut(`${name} is not installed (Debian package ${debianPackage})`);
}

/** For servers that cannot choose a port themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
