import { Inject, Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ARTIFACT_PRODUCER, type ArtifactProducer } from '../core/contracts/artifact-producer.js';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { DatasetId, FileId, UserId, VersionId } from '../core/ids.js';
import {
  REMOVAL_MEDIA_TYPE,
  removalRecord,
  type RemovalCause,
  type Tombstone,
} from './graph/removal-record.js';

/** A dataset that is locked against everybody who could begin to need one of its versions. */
export interface LockedDataset {
  readonly id: DatasetId;
  readonly name: string;
}

/** Turns versions into tombstones: what is left of them is their place in the history. */
@Injectable()
export class Removals {
  constructor(
    @Inject(ARTIFACT_PRODUCER) private readonly artifacts: ArtifactProducer,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(EVENT_BUS) private readonly events: EventBus,
  ) {}

  /**
   * Keeps everybody from committing, pointing at a version, or opening a draft, until the transaction
   * ends. A draft takes the key's share of this lock, the others take the row.
   * Null where the dataset does not exist, or is deleted.
   */
  async lock(tx: Tx, id: DatasetId): Promise<LockedDataset | null> {
    const [dataset] = await tx.query<LockedDataset>(
      'SELECT id, name FROM datasets WHERE id = $1 AND deleted_at IS NULL FOR UPDATE',
      [id],
    );
    return dataset ?? null;
  }

  /**
   * Makes tombstones of committed versions of a locked dataset, and writes down that it did. Their
   * rows stay for `Sweep` to take, as others may still read them.
   * @param by null where the server does it by itself
   */
  async bury(
    tx: Tx,
    dataset: LockedDataset,
    ids: readonly VersionId[],
    { cause, by }: { cause: RemovalCause; by: UserId | null },
  ): Promise<void> {
    const tombstones = await tombstonesOf(tx, ids);
    const signed = await signature(tx, by);
    const text = removalRecord({
      dataset: { id: dataset.id, name: dataset.name },
      cause,
      by: signed.by,
      time: signed.time.toISOString(),
      versions: tombstones.map(({ number, digest, parents }) => ({ number, digest, parents })),
    });
    const record = await this.#store(tx, text);
    const [removal] = await tx.query<{ id: number }>(
      `INSERT INTO dataset_removals (dataset_id, cause, record_file_id, removed_by, removed_at)
       VALUES ($1, $2, $3, $4, $5) RETURNING id`,
      [dataset.id, cause, record, by, signed.time],
    );
    await tx.query(
      'DELETE FROM dataset_deleted_branches WHERE dataset_version_id = ANY($1::integer[])',
      [ids],
    );
    await tx.query(
      `UPDATE dataset_versions SET status = 'removed', removal_id = $2, removed_at = $3, message = ''
       WHERE id = ANY($1::integer[])`,
      [ids, removal?.id, signed.time],
    );
    await this.events.publishAll(
      tx,
      tombstones.map(({ id, number, digest }) => ({
        type: 'dataset.version.removed',
        subject: `dataset/${dataset.id}`,
        data: { datasetId: dataset.id, versionId: id, versionNumber: number, digest, cause },
      })),
    );
  }

  async #store(tx: Tx, text: string): Promise<FileId> {
    const staged = await this.artifacts.stage({
      stream: Readable.from([Buffer.from(text)]),
      fileType: 'json',
      mimeType: REMOVAL_MEDIA_TYPE,
    });
    tx.afterRollback(() => void this.artifacts.discard([staged]));
    const [record] = await this.artifacts.register(tx, [staged], { holder: null });
    if (!record) throw new Error('A removal record was not stored');
    await this.files.addReferences(tx, [record.fileId]);
    return record.fileId;
  }
}

/** What is to be told of some versions once they are gone, in the order of their numbers. */
export async function tombstonesOf(
  tx: Reader,
  ids: readonly VersionId[],
): Promise<(Tombstone & { readonly id: VersionId })[]> {
  return tx.query(
    `SELECT v.id, v.version_number AS number, v.digest,
       array_remove(ARRAY[p.digest, m.digest]::text[], NULL) AS parents
     FROM dataset_versions v
     LEFT JOIN dataset_versions p ON p.id = v.parent_version_id
     LEFT JOIN dataset_versions m ON m.id = v.merge_parent_id
     WHERE v.id = ANY($1::integer[]) ORDER BY v.version_number`,
    [ids],
  );
}

/** Who does it, and the database's time. */
export async function signature(
  tx: Tx,
  by: UserId | null,
): Promise<{ by: { id: number; name: string } | null; time: Date }> {
  const [row] = await tx.query<{ name: string | null; time: Date }>(
    `SELECT (SELECT name FROM users WHERE id = $1) AS name,
       date_trunc('milliseconds', clock_timestamp()) AS time`,
    [by],
  );
  if (!row) throw new Error('The database did not tell the time');
  return { by: by === null ? null : { id: by, name: row.name ?? '' }, time: row.time };
}
