import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { constants, getPriority, setPriority } from 'node:os';
import path from 'node:path';
import type { EngineLimits } from '../engine/session.js';
import { StorageFull } from '../../core/contracts/artifact-producer.js';
import { Unavailable } from '../../core/problems.js';
import {
  InvalidRequest,
  NotComparable,
  TableProblem,
  TypesTooNarrow,
} from '../engine/table-problem.js';
import type {
  OperationName,
  Operations,
  StreamedName,
  StreamedOperations,
  WorkerAnswer,
  WorkerFailure,
} from './protocol.js';
import { ResultPipe } from './result-pipe.js';
import type { WorkerResult } from './worker-result.js';

/** What one worker may use. */
export interface WorkerLimits {
  /** Of the whole process, as the operating system counts it. */
  readonly memoryBytes: number;
  readonly threads: number;
  readonly scratchBytes: number;
}

/** The file was taken away while it was read. */
export class SourceGone extends Error {
  override readonly name = 'SourceGone';
}

/** How often a busy worker's memory is looked at. */
const WATCH_MS = 50;
const PAGE_BYTES = 4096;
/** What the engine may use of a worker's memory; the rest is Node's and the allocator's. */
const ENGINE_SHARE = 0.5;
const HEAP_SHARE = 0.4;
export const NO_ROOM = 'There is no room left to read the table; free space and try again.';
/** Requests come first: a worker takes what processor they leave. */
const NICENESS = 5;

export interface AskOptions {
  readonly timeoutMs: number;
  /** Ends the worker, and with it whatever it does. */
  readonly signal?: AbortSignal | undefined;
}

type End = { readonly why: 'too-large' | 'too-slow' | 'aborted' };

/** A worker in a process of its own, which does one thing at a time. */
export class WorkerProcess {
  private ending: End | null = null;

  private constructor(
    private readonly child: ChildProcess,
    private readonly limits: WorkerLimits,
    private readonly scratchDir: string,
    private readonly pipe: ResultPipe,
    readonly exited: Promise<unknown>,
  ) {}

  static async start(limits: WorkerLimits, scratchDir: string): Promise<WorkerProcess> {
    await mkdir(scratchDir, { recursive: true, mode: 0o700 });
    const pipe = await ResultPipe.make(path.join(scratchDir, 'result'));
    const heapMiB = Math.floor((limits.memoryBytes * HEAP_SHARE) / 1024 / 1024);
    const child = fork(program, {
      // It runs as this process does: what makes Node read TypeScript here makes it do so there.
      execArgv: [...process.execArgv, '--expose-gc', `--max-old-space-size=${heapMiB}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: {},
    });
    if (child.pid !== undefined) lower(child.pid);
    const exited = once(child, 'exit').finally(() =>
      rm(scratchDir, { recursive: true, force: true }).catch(() => undefined),
    );
    // What it waits for keeps the process alive, not that it waits.
    child.unref();
    child.channel?.unref();
    return new WorkerProcess(child, limits, scratchDir, pipe, exited);
  }

  get isAlive(): boolean {
    return this.child.connected && this.child.exitCode === null && !this.ending;
  }

  /**
   * Has the worker do something.
   * @throws TableProblem about the file, also where reading it ended the worker; InvalidRequest;
   *   SourceGone; the signal's reason
   */
  async ask<Name extends OperationName>(
    operation: Name,
    request: Operations[Name]['request'],
    options: AskOptions,
  ): Promise<Operations[Name]['answer']> {
    const answer = await this.send({ operation, request }, options);
    return answer as Operations[Name]['answer'];
  }

  /**
   * Has the worker write a result, which `consume` reads while it is written. The result is whole once
   * `answered` is fulfilled: what was read of one that failed is worth nothing.
   * @throws what `ask` does, and what `consume` throws
   */
  async stream<Name extends StreamedName, T>(
    operation: Name,
    request: StreamedOperations[Name]['request'],
    options: AskOptions,
    consume: (
      result: WorkerResult,
      answered: Promise<StreamedOperations[Name]['answer']>,
    ) => Promise<T>,
  ): Promise<T> {
    const begun = Promise.withResolvers<void>();
    const answered = begun.promise.then(() =>
      this.send({ operation, request, output: this.pipe.path }, options),
    ) as Promise<StreamedOperations[Name]['answer']>;
    answered.catch(() => undefined);
    // Opened before anything is written, so that nothing is missed of it.
    const reading = this.pipe.read(answered);
    begun.resolve(this.pipe.isPipe ? reading.then(() => undefined) : undefined);
    const result = await reading;
    // A result that fails before its first byte has no end of its own.
    answered.catch((error: Error) => result.destroy(error));
    try {
      return await consume(result, answered);
    } finally {
      // What is left over would be the beginning of the next result.
      if (!result.isAtEnd) await this.stop();
      result.destroy();
    }
  }

  /** Ends it, whatever it does. */
  async stop(): Promise<void> {
    this.ending ??= { why: 'aborted' };
    // Now its end is waited for: a process that stops must not come to its own before.
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.ref();
    this.child.kill('SIGKILL');
    await this.exited;
  }

  private async send(message: object, { timeoutMs, signal }: AskOptions): Promise<unknown> {
    signal?.throwIfAborted();
    const stop = this.watch(timeoutMs, signal);
    try {
      const limits: EngineLimits = {
        memoryBytes: this.limits.memoryBytes * ENGINE_SHARE,
        threads: this.limits.threads,
        scratchBytes: this.limits.scratchBytes,
        scratchDir: this.scratchDir,
      };
      const answer = await this.exchange({ ...message, limits });
      if (!answer.ok) throw errorOf(answer.failure);
      return answer.answer;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      stop();
    }
  }

  private exchange(message: object): Promise<WorkerAnswer> {
    const { child } = this;
    child.ref();
    child.channel?.ref();
    return new Promise<WorkerAnswer>((resolve, reject) => {
      const settle = () => {
        child.off('message', onMessage).off('exit', onExit).off('error', reject);
        child.unref();
        child.channel?.unref();
      };
      const onMessage = (answer: WorkerAnswer) => {
        settle();
        resolve(answer);
      };
      const onExit = (_code?: number | null, signal?: NodeJS.Signals | null) => {
        settle();
        reject(this.endOf(signal ?? null));
      };
      child.once('message', onMessage).once('exit', onExit).once('error', reject);
      child.send(message, (error) => error && child.exitCode === null && child.kill('SIGKILL'));
    });
  }

  private watch(timeoutMs: number, signal?: AbortSignal): () => void {
    const end = (why: End['why']) => {
      this.ending ??= { why };
      this.child.kill('SIGKILL');
    };
    const tooSlow = setTimeout(() => end('too-slow'), timeoutMs);
    const onAbort = () => end('aborted');
    signal?.addEventListener('abort', onAbort, { once: true });
    const memory = setInterval(() => {
      void residentBytes(this.child.pid).then((bytes) => {
        if (bytes > this.limits.memoryBytes) end('too-large');
      });
    }, WATCH_MS);
    return () => {
      clearTimeout(tooSlow);
      clearInterval(memory);
      signal?.removeEventListener('abort', onAbort);
    };
  }

  /** What the process's end says of the file that it was reading: nothing, where others ended it. */
  private endOf(signal: NodeJS.Signals | null): Error {
    if (this.ending?.why === 'too-large') {
      return new TableProblem(
        'too-large',
        `Reading it takes more memory than a worker has (${this.limits.memoryBytes} bytes).`,
      );
    }
    if (this.ending?.why === 'too-slow') {
      return new TableProblem('too-slow', 'Reading it takes longer than is allowed.');
    }
    if (!this.ending && signal && FAULTS.has(signal)) {
      return new TableProblem('malformed', 'Reading it ended the reader.');
    }
    return new Unavailable('The table could not be read to its end; try again.', 2);
  }
}

/** How a process ends that a file has led into a fault of the engine, or out of its heap. */
const FAULTS: ReadonlySet<string> = new Set([
  'SIGSEGV',
  'SIGABRT',
  'SIGBUS',
  'SIGILL',
  'SIGFPE',
  'SIGTRAP',
]);

/** Beside this module: JavaScript once it is compiled, TypeScript under the tests. */
const program = new URL(`./table.worker${path.extname(import.meta.filename)}`, import.meta.url);

/** What a worker says went wrong, as the error that it is here. */
export function errorOf(failure: WorkerFailure): Error {
  switch (failure.kind) {
    case 'problem':
      return new TableProblem(failure.code, failure.detail);
    case 'invalid':
      return new InvalidRequest(failure.detail);
    case 'incomparable':
      return new NotComparable(failure.detail);
    case 'types-too-narrow':
      return new TypesTooNarrow(failure.detail);
    case 'gone':
      return new SourceGone('The file is no longer there.');
    case 'full':
      return new StorageFull(NO_ROOM);
    case 'internal':
      return new Error(`A table worker failed: ${failure.detail}`);
  }
}

function lower(pid: number): void {
  try {
    setPriority(pid, Math.min(getPriority() + NICENESS, constants.priority.PRIORITY_LOW));
  } catch {
    // It has ended already, or the system does not let us: it does its work all the same.
  }
}

/** What a process holds in memory; 0 where the system does not say. */
async function residentBytes(pid: number | undefined): Promise<number> {
  const statm = await readFile(`/proc/${pid}/statm`, 'utf8').catch(() => '');
  return Number(statm.split(' ')[1] ?? 0) * PAGE_BYTES;
}
