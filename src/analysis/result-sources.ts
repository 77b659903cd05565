import { Inject, Injectable } from '@nestjs/common';
import type { DomainEvent } from '../core/contracts/event-bus.js';
import { CONTENT_DISPOSAL, type ContentDisposal } from '../core/contracts/file-catalog.js';
import type { TableSourceFile } from '../core/contracts/tables.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { VERSION_READER, type VersionReader } from '../core/contracts/versions.js';
import { HandlesEvent } from '../core/events/handles-event.decorator.js';
import type { DatasetId, FileId, UserId } from '../core/ids.js';

/** Which contents the files were made of that jobs have made: what was purged must not live on in them. */
@Injectable()
export class ResultSources {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    @Inject(CONTENT_DISPOSAL) private readonly disposal: ContentDisposal,
  ) {}

  /**
   * To be asked first in the transaction that keeps a result.
   * @throws ContentPurged where what it was made of was purged meanwhile
   */
  async requirePresent(
    tx: Tx,
    dataset: DatasetId,
    sources: readonly TableSourceFile[],
  ): Promise<void> {
    // Whoever purges locks the dataset: it has been done, and is seen here, or finds what is noted.
    await tx.query('SELECT 1 FROM datasets WHERE id = $1 FOR KEY SHARE', [dataset]);
    for (const { versionId, path } of sources) await this.versions.entry(tx, versionId, path);
  }

  /** Notes what a result was made of, in the transaction that keeps it. */
  async note(
    tx: Tx,
    dataset: DatasetId,
    holder: UserId,
    result: FileId,
    sources: readonly TableSourceFile[],
  ): Promise<void> {
    await tx.query(
      `INSERT INTO result_sources (file_id, dataset_id, source_hash, held_by)
       SELECT $1, $2, source, $3 FROM unnest($4::text[]) AS s (source)
       ON CONFLICT DO NOTHING`,
      [result, dataset, holder, [...new Set(sources.map(({ sha256 }) => sha256))]],
    );
  }

  /**
   * Ends the hold that whoever ordered a result has on it. What was committed stays: it is a content of its
   * own, to be purged as such.
   */
  @HandlesEvent('dataset.content.purged', { name: 'analysis.drop-results' })
  async onPurged({ data }: DomainEvent<'dataset.content.purged'>): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const results = await tx.query<{ fileId: FileId; heldBy: UserId }>(
        `DELETE FROM result_sources WHERE dataset_id = $1 AND source_hash = $2
         RETURNING file_id AS "fileId", held_by AS "heldBy"`,
        [data.datasetId, data.sha256],
      );
      const inOrder = results.toSorted((a, b) => a.fileId - b.fileId);
      for (const { fileId, heldBy } of inOrder) await this.disposal.expel(tx, fileId, heldBy);
    });
  }
}
