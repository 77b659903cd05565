import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { Unavailable } from '../../core/problems.js';
import type { OperationName, Operations, StreamedName, StreamedOperations } from './protocol.js';
import { WorkerProcess, type AskOptions, type WorkerLimits } from './worker-process.js';
import type { WorkerResult } from './worker-result.js';

export interface PoolOptions extends WorkerLimits {
  /** How many work side by side. */
  readonly size: number;
  /** How many requests may wait for one. */
  readonly queue: number;
  readonly timeoutMs: number;
  /** Where workers put what does not fit their memory. */
  readonly scratchDir: string;
}

type Lent = (worker: WorkerProcess) => void;

/** Workers that are kept warm: started as they are needed, replaced as they end. */
export class WorkerPool {
  private readonly idle: WorkerProcess[] = [];
  private readonly living = new Set<WorkerProcess>();
  private readonly waiting: { lend: Lent; refuse: (error: unknown) => void }[] = [];
  private starting = 0;
  private isClosed = false;

  constructor(private readonly options: PoolOptions) {}

  /**
   * Has some worker do something.
   * @throws what `WorkerProcess.ask` does; Unavailable where too many wait already
   */
  async ask<Name extends OperationName>(
    operation: Name,
    request: Operations[Name]['request'],
    signal?: AbortSignal,
  ): Promise<Operations[Name]['answer']> {
    const worker = await this.borrow();
    try {
      return await worker.ask(operation, request, this.askOptions(signal));
    } finally {
      this.giveBack(worker);
    }
  }

  /** Has some worker write a result; see `WorkerProcess.stream`. */
  async stream<Name extends StreamedName, T>(
    operation: Name,
    request: StreamedOperations[Name]['request'],
    signal: AbortSignal | undefined,
    consume: (
      result: WorkerResult,
      answered: Promise<StreamedOperations[Name]['answer']>,
    ) => Promise<T>,
  ): Promise<T> {
    const worker = await this.borrow();
    try {
      return await worker.stream(operation, request, this.askOptions(signal), consume);
    } finally {
      this.giveBack(worker);
    }
  }

  /** Starts a worker, so that the first request finds one. */
  async warm(): Promise<void> {
    this.giveBack(await this.borrow());
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const { refuse } of this.waiting.splice(0)) refuse(stopping());
    await Promise.all([...this.living].map((worker) => worker.stop()));
  }

  private askOptions(signal?: AbortSignal): AskOptions {
    return { timeoutMs: this.options.timeoutMs, signal };
  }

  private async borrow(): Promise<WorkerProcess> {
    if (this.isClosed) throw stopping();
    for (let worker = this.idle.pop(); worker; worker = this.idle.pop()) {
      if (worker.isAlive) return worker;
    }
    if (this.living.size + this.starting < this.options.size) return this.start();
    if (this.waiting.length >= this.options.queue) {
      throw new Unavailable('Too many tables are being read at the moment; try again.', 2);
    }
    return new Promise((lend, refuse) => this.waiting.push({ lend, refuse }));
  }

  private async start(): Promise<WorkerProcess> {
    this.starting += 1;
    try {
      const scratchDir = path.join(this.options.scratchDir, `worker-${randomUUID()}`);
      const worker = await WorkerProcess.start(this.options, scratchDir);
      this.living.add(worker);
      void worker.exited.finally(() => this.living.delete(worker));
      return worker;
    } finally {
      this.starting -= 1;
    }
  }

  private giveBack(worker: WorkerProcess): void {
    if (worker.isAlive && !this.isClosed) {
      const next = this.waiting.shift();
      if (next) next.lend(worker);
      else this.idle.push(worker);
      return;
    }
    // Its place is free once it has ended: whoever waits gets another one.
    void worker.stop().then(() => {
      const next = this.waiting.shift();
      if (next) this.borrow().then(next.lend, next.refuse);
    });
  }
}

function stopping(): Unavailable {
  return new Unavailable('The server is stopping; try again.', 5);
}
