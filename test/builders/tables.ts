import { expect } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freshEngines } from '../../src/tabular/worker/engines.js';
import { inSession } from '../../src/tabular/worker/operations.js';
import type { Session } from '../../src/tabular/engine/session.js';
import type { ReaderOptions, TableSource } from '../../src/tabular/engine/source.js';

/** A folder with files that are read as tables, in this process. */
export class TableFolder {
  private constructor(readonly directory: string) {}

  static async make(): Promise<TableFolder> {
    return new TableFolder(await mkdtemp(path.join(tmpdir(), 'varve-tables-')));
  }

  remove(): Promise<void> {
    return rm(this.directory, { recursive: true, force: true });
  }

  async source(
    name: string,
    content: string | Uint8Array,
    options: ReaderOptions = {},
  ): Promise<TableSource> {
    const at = path.join(this.directory, name);
    await writeFile(at, content);
    return this.of(at, options);
  }

  /** A file that is there already. */
  of(at: string, options: ReaderOptions = {}): TableSource {
    const name = path.basename(at);
    return {
      path: at,
      name,
      mimeType: 'application/octet-stream',
      prepared: path.join(this.directory, `prepared-${name}`),
      options,
      wholeSample: false,
    };
  }

  session<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return inSession({ engines: freshEngines, limits: this.limits }, work);
  }

  get limits() {
    return {
      memoryBytes: 256 * 1024 * 1024,
      threads: 2,
      scratchDir: path.join(this.directory, 'scratch'),
      scratchBytes: 512 * 1024 * 1024,
    };
  }
}

/** Real public data, of the package vega-datasets. */
export const publicData = (name: string): string =>
  path.resolve('node_modules/vega-datasets/data', name);

/** Expects a promise to be rejected with the problem that a file has. */
export async function expectProblem(work: Promise<unknown>, code: string): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: 'TableProblem', code });
}
