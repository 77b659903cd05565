import { execFile } from 'node:child_process';
import { constants, open } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { FileResult, PipedResult, type WorkerResult } from './worker-result.js';

const openDescriptor = promisify<string, number, number>(open);

/**
 * Where a worker writes results for the server to pass on: a named pipe, so that a reader that does not
 * keep up stops the writer. Where the system has none it is a file, read once it is whole.
 */
export class ResultPipe {
  private constructor(
    readonly path: string,
    readonly isPipe: boolean,
  ) {}

  static async make(path: string): Promise<ResultPipe> {
    try {
      await promisify(execFile)('mkfifo', ['-m', '600', path]);
      return new ResultPipe(path, true);
    } catch {
      await writeFile(path, '', { mode: 0o600 });
      return new ResultPipe(path, false);
    }
  }

  /**
   * Opens the reading end, before anything is written.
   * @param answered settles when the worker has written everything, or failed
   */
  async read(answered: Promise<unknown>): Promise<WorkerResult> {
    if (!this.isPipe) return new FileResult(this.path, answered);
    // Without waiting for a writer: a pipe that is opened so holds no thread until there is one. A
    // descriptor, no handle: the socket closes it.
    const fd = await openDescriptor(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    return new PipedResult(fd);
  }
}
