import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { ObjectMissing, type StorageBackend } from '../core/contracts/storage-backend.js';
import type { UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId, Sha256 } from '../core/ids.js';
import type { DatasetContent } from '../records/record-format.js';
import type { OverlayEntry } from '../versioning/graph/document.js';
import {
  NoOverlayDocument,
  readOverlayDocument,
  type ReadDocument,
} from '../versioning/graph/document-reader.js';
import { parseRemovalRecord } from '../versioning/graph/removal-record.js';
import type { Losses } from './losses.js';

/** How many documents are read at once. */
const BATCH = 64;
const PARALLEL = 4;

/** A document that is not there, or is not what its digest says. */
export class DocumentLost extends Error {}

/**
 * Finds out which versions a dataset has: from the digests in its record, through the parents'
 * digests in the documents. What is known is kept in a table, so that neither a long history nor a
 * kill costs more than the documents that are still to be read.
 */
export class HistoryPlan {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly backend: StorageBackend,
    private readonly losses: Losses,
  ) {}

  /** @returns whether every document is there and proved; those that are not are losses */
  async make(
    dataset: DatasetId,
    content: DatasetContent,
    progress: (documents: number) => void,
  ): Promise<boolean> {
    const { tips, pointers, deletedBranches } = content;
    const named = [
      ...tips,
      ...[...pointers, ...deletedBranches].flatMap(({ digest }) => digest ?? []),
    ];
    await this.#note(dataset, named);
    const lost = new Set<string>();
    for (const { record } of content.removals) {
      if (!(await this.#bury(dataset, record, content.name))) lost.add(record);
    }
    for (let documents = 0; ;) {
      const unread = await this.#unread(dataset, [...lost]);
      if (unread.length === 0) return lost.size === 0;
      const rest = unread.values();
      const worker = async () => {
        for (const digest of rest) {
          if (!(await this.#read(dataset, digest, content.name))) lost.add(digest);
          progress((documents += 1));
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, worker));
    }
  }

  /**
   * Reads a document to its end and proves it.
   * @throws DocumentLost
   */
  async document(
    digest: Sha256,
    take?: (entries: readonly OverlayEntry[]) => Promise<void>,
  ): Promise<ReadDocument> {
    try {
      const read = await readOverlayDocument(await this.#open(digest), take);
      if (read.sha256 !== digest) throw new DocumentLost('is damaged');
      return read;
    } catch (error) {
      if (error instanceof NoOverlayDocument) throw new DocumentLost('is damaged');
      throw error;
    }
  }

  /** @throws DocumentLost */
  async #open(digest: Sha256): Promise<Readable> {
    const [file] = await this.unitOfWork.read((tx) =>
      tx.query<{ key: string }>(
        'SELECT file_path AS key FROM files WHERE content_hash = $1 AND damaged_at IS NULL',
        [digest],
      ),
    );
    if (!file) throw new DocumentLost('is not in the storage');
    return this.backend.open(file.key).catch((error: unknown) => {
      throw error instanceof ObjectMissing ? new DocumentLost('is not in the storage') : error;
    });
  }

  /** Plans tombstones where versions were removed: their documents may be gone, and are not missed. */
  async #bury(dataset: DatasetId, record: Sha256, name: string): Promise<boolean> {
    try {
      const content = await buffer(await this.#open(record));
      const recorded = parseRemovalRecord(content.toString('utf8'));
      const digest = createHash('sha256').update(content).digest('hex');
      if (digest !== record || !recorded) throw new DocumentLost('is damaged');
      const tombstones = [...recorded.values()];
      const parents = tombstones.flatMap((tombstone) => tombstone.parents);
      await this.#note(dataset, [...tombstones.map((tombstone) => tombstone.digest), ...parents]);
      await this.unitOfWork.run((tx) =>
        tx.query(
          `UPDATE rebuild_versions v SET version_number = t.number, removal = $2, changes = 0,
             parents = ARRAY(SELECT jsonb_array_elements_text(t.parents))
           FROM jsonb_to_recordset($3::jsonb) AS t (digest text, number integer, parents jsonb)
           WHERE v.dataset_id = $1 AND v.digest = t.digest`,
          [dataset, record, JSON.stringify(tombstones)],
        ),
      );
      return true;
    } catch (error) {
      if (!(error instanceof DocumentLost)) throw error;
      this.losses.add(
        'document',
        `Dataset ${dataset} (${name}): the record ${record} of removed versions ${error.message}.`,
      );
      return false;
    }
  }

  async #read(dataset: DatasetId, digest: Sha256, name: string): Promise<boolean> {
    try {
      const { header, changes } = await this.document(digest);
      if (header.dataset.id !== dataset) {
        throw new DocumentLost(`is of dataset ${header.dataset.id}`);
      }
      await this.#note(dataset, header.parents);
      await this.unitOfWork.run((tx) =>
        tx.query(
          `UPDATE rebuild_versions SET version_number = $3, parents = $4, changes = $5
           WHERE dataset_id = $1 AND digest = $2`,
          [dataset, digest, header.number, header.parents, changes],
        ),
      );
      return true;
    } catch (error) {
      if (!(error instanceof DocumentLost)) throw error;
      this.losses.add(
        'document',
        `Dataset ${dataset} (${name}): the overlay document ${digest} ${error.message}.`,
      );
      return false;
    }
  }

  async #note(dataset: DatasetId, digests: readonly Sha256[]): Promise<void> {
    await this.unitOfWork.run((tx) =>
      tx.query(
        `INSERT INTO rebuild_versions (dataset_id, digest)
         SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING`,
        [dataset, digests],
      ),
    );
  }

  async #unread(dataset: DatasetId, lost: readonly string[]): Promise<Sha256[]> {
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ digest: Sha256 }>(
        `SELECT digest FROM rebuild_versions WHERE dataset_id = $1 AND version_number IS NULL
           AND digest <> ALL($2::text[]) LIMIT ${BATCH}`,
        [dataset, lost],
      ),
    );
    return rows.map(({ digest }) => digest);
  }
}
