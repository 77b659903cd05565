import { Injectable } from '@nestjs/common';
import { ExpiredHolds } from './expired-holds.js';
import { ObjectDeletions, type DeletionTally } from './object-deletions.js';
import { OrphanSweep } from './orphan-sweep.js';
import { UnreferencedFiles } from './unreferenced-files.js';

/** What one run of the collector did. */
export interface CollectionReport extends DeletionTally {
  holdsExpired: number;
  filesDeleted: number;
  orphansFound: number;
}

/** Tells how far a run is. */
export type Progress = (percent: number, message: string) => Promise<void>;

/**
 * Takes away what nothing needs any more. Every step works in small transactions that are whole in
 * themselves, claims what it works on and passes by what others work on: any number of collectors
 * may run at once, and one that is killed leaves nothing that the next does not pick up.
 */
@Injectable()
export class Collector {
  constructor(
    private readonly holds: ExpiredHolds,
    private readonly files: UnreferencedFiles,
    private readonly orphans: OrphanSweep,
    private readonly deletions: ObjectDeletions,
  ) {}

  /** Deletes all that is due now. */
  async run(signal: AbortSignal, progress: Progress = async () => {}): Promise<CollectionReport> {
    await progress(0, 'Letting expired uploads go');
    const holdsExpired = await this.holds.release(signal);
    await progress(10, 'Deleting unreferenced files');
    const filesDeleted = await this.files.delete(signal);
    await progress(30, 'Looking for objects that no file names');
    const orphansFound = await this.orphans.sweep('', signal);
    await progress(60, 'Deleting objects');
    const tally = await this.deletions.run(signal);
    return { holdsExpired, filesDeleted, orphansFound, ...tally };
  }
}
