import path from 'node:path';
import { Worker } from 'node:worker_threads';

interface Waiting<Answer> {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/**
 * A thread that answers each request, in the order in which they came. It does not keep the process
 * alive while it has nothing to do.
 */
export class WorkerThread<Request, Answer> {
  private readonly worker: Worker;
  private readonly waiting: Waiting<Answer>[] = [];
  private hasEnded = false;

  /**
   * @param program of `workerProgram`
   * @param settings what the program finds as `workerData`
   */
  constructor(
    private readonly name: string,
    program: URL,
    settings?: object,
  ) {
    this.worker = new Worker(program, { name, workerData: settings });
    this.worker.unref();
    this.worker.on('message', (answer: Answer) => {
      this.waiting.shift()?.resolve(answer);
      if (this.waiting.length === 0) this.worker.unref();
    });
    this.worker.on('error', (error) => this.fail(error));
    this.worker.on('exit', () => this.fail(this.endError()));
  }

  get isAlive(): boolean {
    return !this.hasEnded;
  }

  /** How many requests it has yet to answer. */
  get load(): number {
    return this.waiting.length;
  }

  /** @param handedOver memory that is the thread's until it has answered */
  ask(request: Request, handedOver: ArrayBuffer[] = []): Promise<Answer> {
    if (this.hasEnded) return Promise.reject(this.endError());
    return new Promise((resolve, reject) => {
      if (this.waiting.push({ resolve, reject }) === 1) this.worker.ref();
      this.worker.postMessage(request, handedOver);
    });
  }

  async stop(): Promise<void> {
    this.hasEnded = true;
    await this.worker.terminate();
  }

  private fail(error: unknown): void {
    this.hasEnded = true;
    const cause = error instanceof Error ? error : new Error(String(error));
    for (const asked of this.waiting.splice(0)) asked.reject(cause);
  }

  private endError(): Error {
    return new Error(`The ${this.name} thread has ended`);
  }
}

/**
 * Where a thread's program lies, beside the module that starts it. Compiled it is JavaScript; under
 * the tests only the TypeScript is there, which Node runs as it is: it holds what erases to
 * JavaScript, and imports nothing of ours but types.
 * @param name the file's without its extension, such as `sha256.worker`
 * @param importer the module's `import.meta.url`
 */
export function workerProgram(name: string, importer: string): URL {
  return new URL(`./${name}${path.extname(new URL(importer).pathname)}`, importer);
}
