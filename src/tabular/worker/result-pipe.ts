import { execFile } from 'node:child_process';
import { constants, createReadStream, open } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

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
  async read(answered: Promise<unknown>): Promise<Readable> {
    if (!this.isPipe) {
      await answered.catch(() => undefined);
      return createReadStream(this.path);
    }
    // Without waiting for a writer: a pipe that is opened so holds no thread until there is one. A
    // descriptor, no handle: the socket closes it.
    const fd = await openDescriptor(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    return new Socket({ fd, readable: true, writable: false });
  }
}
