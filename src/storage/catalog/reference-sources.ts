import { Injectable } from '@nestjs/common';
import type { ReferenceSource, ReferenceSources } from '../../core/contracts/file-catalog.js';

/** What uploads keep for their uploaders: a hold counts for as long as its row is there. */
const UPLOAD_HOLDS: ReferenceSource = {
  name: 'upload holds',
  sql: 'SELECT file_id FROM upload_holds',
};

/** Collects what each slice registers while modules initialise. */
@Injectable()
export class ReferenceSourceRegistry implements ReferenceSources {
  private readonly sources: ReferenceSource[] = [UPLOAD_HOLDS];

  register(source: ReferenceSource): void {
    if (this.sources.some(({ name }) => name === source.name)) {
      throw new Error(`References from ${source.name} are registered twice`);
    }
    this.sources.push(source);
  }

  all(): readonly ReferenceSource[] {
    return this.sources;
  }
}
