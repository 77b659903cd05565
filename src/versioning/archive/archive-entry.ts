import type { Readable } from 'node:stream';

/** A file on its way into an archive. */
export interface ArchiveEntry {
  readonly path: string;
  readonly sizeBytes: number;
  /** Opens the content. Whoever opens it reads it to its end or destroys it. */
  open(): Promise<Readable>;
}
