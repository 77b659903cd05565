import { Inject, Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ARTIFACT_PRODUCER, type ArtifactProducer } from '../core/contracts/artifact-producer.js';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import {
  CONTENT_DISPOSAL,
  FILE_CATALOG,
  type ContentDisposal,
  type FileCatalog,
  type StoredFile,
} from '../core/contracts/file-catalog.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { DatasetId, FileId, Sha256, UserId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { PURGE_MEDIA_TYPE, purgeNotice } from './graph/purge-notice.js';
import { Removals, signature, type LockedDataset } from './removals.js';
import { lockRemovals } from './sweep.js';

/** A content that was taken out of every version of a dataset. */
export interface Purge {
  readonly id: number;
  readonly datasetId: DatasetId;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  readonly reason: string;
  /** In how many places it stood. */
  readonly entries: number;
  readonly purgedBy: UserId;
  readonly purgedAt: Date;
  readonly liftedBy: UserId | null;
  readonly liftedAt: Date | null;
  readonly liftReason: string | null;
}

const SELECT = `
  SELECT id, dataset_id AS "datasetId", content_hash AS sha256, file_size::float8 AS "sizeBytes",
    reason, entries::float8 AS entries, purged_by AS "purgedBy", purged_at AS "purgedAt",
    lifted_by AS "liftedBy", lifted_at AS "liftedAt", lift_reason AS "liftReason"
  FROM dataset_purges`;

// Rows that are only copies have the same names as those that they copy.
const REPLACE = `
  WITH replaced AS (
    UPDATE dataset_version_files e SET file_id = $3 FROM dataset_versions v
    WHERE v.id = e.version_id AND v.dataset_id = $1 AND e.file_id = $2
    RETURNING e.component_name
  ), copies AS (
    UPDATE dataset_lineage_files b SET file_id = $3
    FROM dataset_lineages l, (SELECT DISTINCT component_name FROM replaced) r
    WHERE l.dataset_id = $1 AND l.base_rows > 0 AND b.lineage_id = l.id
      AND b.component_name = r.component_name AND b.file_id = $2
  )
  SELECT count(*)::integer AS entries FROM replaced`;

/** Takes contents out of all versions of a dataset, and puts a notice in their place. */
@Injectable()
export class Purges {
  constructor(
    @Inject(ARTIFACT_PRODUCER) private readonly artifacts: ArtifactProducer,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(CONTENT_DISPOSAL) private readonly disposal: ContentDisposal,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    private readonly removals: Removals,
  ) {}

  /**
   * Purges a content; whoever adds one to the dataset has done so before, and it goes, or comes after
   * and is refused. What is purged already stays as it is.
   * @throws NotFound where no version and no draft of the dataset has it
   */
  async purge(
    tx: Tx,
    dataset: DatasetId,
    by: UserId,
    { sha256, reason }: { sha256: Sha256; reason: string },
  ): Promise<Purge> {
    const locked = await this.#lock(tx, dataset);
    const [inForce] = await tx.query<Purge>(
      `${SELECT} WHERE dataset_id = $1 AND content_hash = $2 AND lifted_at IS NULL`,
      [dataset, sha256],
    );
    if (inForce) return inForce;
    const file = await this.#held(tx, dataset, sha256);
    const { purgeId, noticeId } = await this.#insert(tx, locked, by, file, reason);
    const replaced = await tx.query<{ entries: number }>(REPLACE, [dataset, file.fileId, noticeId]);
    const entries = replaced[0]?.entries ?? 0;
    const times = <T>(value: T): T[] => Array.from({ length: entries }, () => value);
    await this.files.addReferences(tx, [noticeId, ...times(noticeId)]);
    await this.files.releaseReferences(tx, times(file.fileId));
    await this.disposal.expel(tx, file.fileId);
    await tx.query('UPDATE dataset_purges SET entries = $2 WHERE id = $1', [purgeId, entries]);
    await tx.query('UPDATE datasets SET has_purges = TRUE WHERE id = $1', [dataset]);
    await this.events.publish(tx, 'dataset.content.purged', `dataset/${dataset}`, {
      datasetId: dataset,
      purgeId,
      sha256,
      entries,
      purgedBy: by,
      reason,
    });
    return this.get(tx, dataset, purgeId);
  }

  /**
   * Lets the content be added again. What was purged does not come back by that.
   * @throws NotFound for none, or one that is lifted already
   */
  async lift(
    tx: Tx,
    dataset: DatasetId,
    purge: number,
    by: UserId,
    reason: string,
  ): Promise<Purge> {
    await this.#lock(tx, dataset);
    const lifted = await tx.query<{ sha256: Sha256 }>(
      `UPDATE dataset_purges SET lifted_by = $3, lifted_at = now(), lift_reason = $4
       WHERE dataset_id = $1 AND id = $2 AND lifted_at IS NULL RETURNING content_hash AS sha256`,
      [dataset, purge, by, reason],
    );
    if (!lifted[0]) throw new NotFound(`Purge ${purge} of dataset ${dataset}`);
    await tx.query(
      `UPDATE datasets SET has_purges = EXISTS (
         SELECT FROM dataset_purges WHERE dataset_id = $1 AND lifted_at IS NULL
       ) WHERE id = $1`,
      [dataset],
    );
    await this.events.publish(tx, 'dataset.content.purge.lifted', `dataset/${dataset}`, {
      datasetId: dataset,
      purgeId: purge,
      sha256: lifted[0].sha256,
      liftedBy: by,
      reason,
    });
    return this.get(tx, dataset, purge);
  }

  /** @throws NotFound */
  async get(tx: Reader, dataset: DatasetId, id: number): Promise<Purge> {
    const [purge] = await tx.query<Purge>(`${SELECT} WHERE dataset_id = $1 AND id = $2`, [
      dataset,
      id,
    ]);
    if (!purge) throw new NotFound(`Purge ${id} of dataset ${dataset}`);
    return purge;
  }

  /** The newest first, before one, at most `limit`. */
  list(
    tx: Reader,
    dataset: DatasetId,
    page: { before: number | null; limit: number },
  ): Promise<Purge[]> {
    return tx.query<Purge>(
      `${SELECT} WHERE dataset_id = $1 AND ($2::integer IS NULL OR id < $2)
       ORDER BY id DESC LIMIT $3`,
      [dataset, page.before, page.limit],
    );
  }

  async #lock(tx: Tx, dataset: DatasetId): Promise<LockedDataset> {
    const locked = await this.removals.lock(tx, dataset);
    if (!locked) throw new NotFound(`Dataset ${dataset}`);
    await lockRemovals(tx, dataset);
    return locked;
  }

  async #held(tx: Reader, dataset: DatasetId, sha256: Sha256): Promise<StoredFile> {
    const file = (await this.files.findByDigest(tx, [sha256])).get(sha256);
    const held = await tx.query(
      `SELECT 1 FROM dataset_version_files e JOIN dataset_versions v ON v.id = e.version_id
       WHERE e.file_id = $2 AND v.dataset_id = $1 LIMIT 1`,
      [dataset, file?.fileId ?? null],
    );
    if (!file || held.length === 0) throw new NotFound(`Content ${sha256} in dataset ${dataset}`);
    return file;
  }

  async #insert(
    tx: Tx,
    dataset: LockedDataset,
    by: UserId,
    { sha256, sizeBytes, mimeType, fileType }: StoredFile,
    reason: string,
  ): Promise<{ purgeId: number; noticeId: FileId }> {
    const signed = await signature(tx, by);
    const text = purgeNotice({
      dataset: { id: dataset.id, name: dataset.name },
      content: { sha256, size: sizeBytes, mimeType, fileType },
      by: signed.by ?? { id: by, name: '' },
      reason,
      time: signed.time.toISOString(),
    });
    const staged = await this.artifacts.stage({
      stream: Readable.from([Buffer.from(text)]),
      fileType: 'json',
      mimeType: PURGE_MEDIA_TYPE,
    });
    tx.afterRollback(() => void this.artifacts.discard([staged]));
    const [notice] = await this.artifacts.register(tx, [staged], { holder: null });
    if (!notice) throw new Error('A purge notice was not stored');
    const [row] = await tx.query<{ id: number }>(
      `INSERT INTO dataset_purges (dataset_id, content_hash, file_size, file_type, mime_type,
         notice_file_id, reason, purged_by, purged_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`,
      [dataset.id, sha256, sizeBytes, fileType, mimeType, notice.fileId, reason, by, signed.time],
    );
    return { purgeId: row?.id ?? 0, noticeId: notice.fileId };
  }
}
