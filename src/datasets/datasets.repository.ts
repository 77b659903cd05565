import { Inject, Injectable } from '@nestjs/common';
import { QueryFailedError } from 'typeorm';
import {
  NEXT_UPDATE,
  type DatasetRecord,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { DatasetId, UserId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import { NotFound } from '../core/problems.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { DatasetTag } from './dataset-tag.entity.js';
import { Dataset } from './dataset.entity.js';
import { DatasetNameTaken } from './dataset.problems.js';

/** Everything that describes a dataset, its tags in byte order. */
export interface DatasetDetails extends DatasetRecord {
  readonly description: string;
  readonly ownerName: string;
  readonly tags: readonly string[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly forgottenAt: Date | null;
  /** 0 before the first commit. */
  readonly lastVersionNumber: number;
  /** Microseconds since 1970: what pages are ordered by, which a `Date` would cut off. */
  readonly createdMicros: string;
  /** Grows with every change, so that it tells one state from any other. */
  readonly updatedMicros: string;
}

/** What a new dataset is made of. */
export interface NewDataset {
  readonly name: string;
  readonly description: string;
  readonly metadata: JsonObject;
  readonly tags: readonly string[];
  readonly defaultBranch: string;
}

export type DatasetChanges = Partial<Pick<NewDataset, 'name' | 'description' | 'metadata'>>;

const micros = (column: string): string =>
  `(extract(epoch FROM ${column}) * 1000000)::bigint::text`;

/** Reads `DatasetDetails` from `datasets d`; every list and lookup is one query of this form. */
export const SELECT_DETAILS = `
  SELECT d.id, d.name, d.description, d.metadata, d.created_by AS "createdBy",
    u.name AS "ownerName", d.default_branch AS "defaultBranch", d.created_at AS "createdAt",
    d.updated_at AS "updatedAt", d.deleted_at AS "deletedAt", d.forgotten_at AS "forgottenAt",
    d.last_version_number AS "lastVersionNumber",
    ${micros('d.created_at')} AS "createdMicros", ${micros('d.updated_at')} AS "updatedMicros",
    ARRAY(SELECT t.tag_name FROM dataset_tags t WHERE t.dataset_id = d.id ORDER BY t.tag_name) AS tags
  FROM datasets d JOIN users u ON u.id = d.created_by`;

const isNameTaken = (error: unknown): boolean =>
  error instanceof QueryFailedError &&
  (error.driverError as { constraint?: string }).constraint === 'datasets_name_unique';

/** The rows of datasets and their tags. It only ever works in somebody's transaction. */
@Injectable()
export class DatasetsRepository implements DatasetRepository {
  constructor(@Inject(CONFIG) private readonly config: Config) {}

  async get(tx: Reader, id: DatasetId): Promise<DatasetRecord> {
    return this.details(tx, id);
  }

  async touch(tx: Tx, id: DatasetId): Promise<void> {
    await tx.manager.update(Dataset, { id }, { updatedAt: () => NEXT_UPDATE });
  }

  async beginForgetting(tx: Tx, id: DatasetId): Promise<boolean> {
    const forgotten = await tx.query(
      `UPDATE datasets SET forgotten_at = coalesce(forgotten_at, now())
       WHERE id = $1 AND deleted_at <= now() - $2 * interval '1 millisecond' RETURNING id`,
      [id, this.config.DATASET_RETENTION],
    );
    return forgotten.length > 0;
  }

  /** @throws NotFound also for a deleted one, unless `includeDeleted` */
  async details(
    tx: Reader,
    id: DatasetId,
    { includeDeleted = false } = {},
  ): Promise<DatasetDetails> {
    const [row] = await tx.query<DatasetDetails>(
      `${SELECT_DETAILS} WHERE d.id = $1 AND ($2 OR d.deleted_at IS NULL)`,
      [id, includeDeleted],
    );
    if (!row) throw new NotFound(`Dataset ${id}`);
    return row;
  }

  /**
   * Keeps others from changing the dataset until the transaction ends; versions may still be added.
   * @throws NotFound also for a deleted one, unless `includeDeleted`
   */
  async lock(tx: Tx, id: DatasetId, { includeDeleted = false } = {}): Promise<DatasetDetails> {
    await tx.query('SELECT FROM datasets WHERE id = $1 FOR NO KEY UPDATE', [id]);
    // Only a statement that begins after the lock was had sees the tags as its last holder left them.
    return this.details(tx, id, { includeDeleted });
  }

  /** @throws DatasetNameTaken */
  async insert(tx: Tx, owner: UserId, dataset: NewDataset): Promise<DatasetId> {
    const [row] = await tx.query<{ id: DatasetId }>(
      `INSERT INTO datasets (name, description, metadata, created_by, default_branch)
       VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id`,
      [
        dataset.name,
        dataset.description,
        JSON.stringify(dataset.metadata),
        owner,
        dataset.defaultBranch,
      ],
    );
    if (!row) throw new DatasetNameTaken(dataset.name);
    await tx.query(
      'INSERT INTO dataset_tags (dataset_id, tag_name) SELECT $1, unnest($2::text[])',
      [row.id, [...new Set(dataset.tags)]],
    );
    return row.id;
  }

  /** @throws DatasetNameTaken */
  async update(tx: Tx, id: DatasetId, changes: DatasetChanges): Promise<void> {
    await this.#judged(changes.name ?? '', () =>
      tx.manager.update(Dataset, { id }, { ...changes, updatedAt: () => NEXT_UPDATE }),
    );
  }

  /** Gives when it was deleted. */
  async softDelete(tx: Tx, id: DatasetId): Promise<Date> {
    const [row] = await tx.query<{ deletedAt: Date }>(
      'UPDATE datasets SET deleted_at = now() WHERE id = $1 RETURNING deleted_at AS "deletedAt"',
      [id],
    );
    if (!row) throw new NotFound(`Dataset ${id}`);
    return row.deletedAt;
  }

  /** @throws DatasetNameTaken when another dataset took its name meanwhile */
  async restore(tx: Tx, dataset: DatasetDetails): Promise<void> {
    await this.#judged(dataset.name, () =>
      tx.manager.update(
        Dataset,
        { id: dataset.id },
        { deletedAt: () => 'NULL', updatedAt: () => NEXT_UPDATE },
      ),
    );
  }

  async addTag(tx: Tx, id: DatasetId, tagName: string): Promise<void> {
    await tx.manager.insert(DatasetTag, { datasetId: id, tagName });
  }

  async removeTag(tx: Tx, id: DatasetId, tagName: string): Promise<void> {
    await tx.manager.delete(DatasetTag, { datasetId: id, tagName });
  }

  /** The unique index decides who gets a name; no look beforehand could. */
  async #judged(name: string, change: () => Promise<unknown>): Promise<void> {
    try {
      await change();
    } catch (error) {
      throw isNameTaken(error) ? new DatasetNameTaken(name) : error;
    }
  }
}
