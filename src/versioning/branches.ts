import { Inject, Injectable } from '@nestjs/common';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { DatasetId, Sha256, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { requireExpected, type ExpectedHead } from './expected-head.js';
import { parsePointerName } from './graph/ref.js';
import { Refs } from './refs.js';
import {
  BranchProtected,
  DefaultBranch,
  NotABranch,
  PointerExists,
} from './versioning.problems.js';

/** A branch or a tag, and the version that it names. */
export interface Pointer {
  readonly id: number;
  readonly name: string;
  readonly isTag: boolean;
  readonly isProtected: boolean;
  readonly versionId: VersionId | null;
  readonly versionNumber: number | null;
  readonly digest: Sha256 | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** What is to become of a branch. */
export interface BranchChanges {
  /** A ref to the version that it shall point at. */
  readonly to?: string;
  readonly name?: string;
  readonly isProtected?: boolean;
}

const SELECT = `
  SELECT p.id, p.pointer_name AS name, p.is_tag AS "isTag", p.is_protected AS "isProtected",
    p.dataset_version_id AS "versionId", v.version_number AS "versionNumber", v.digest,
    p.created_at AS "createdAt", p.updated_at AS "updatedAt"
  FROM dataset_pointers p LEFT JOIN dataset_versions v ON v.id = p.dataset_version_id`;

/** Branches and tags: making, moving, renaming, deleting and restoring them. */
@Injectable()
export class Branches {
  constructor(
    @Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    private readonly refs: Refs,
  ) {}

  /** In the order of their names, after one, at most `limit`. */
  list(
    tx: Reader,
    dataset: DatasetId,
    page: { tags: boolean; after: string; limit: number },
  ): Promise<Pointer[]> {
    return tx.query(
      `${SELECT} WHERE p.dataset_id = $1 AND p.is_tag = $2 AND p.pointer_name > $3
       ORDER BY p.pointer_name LIMIT $4`,
      [dataset, page.tags, page.after, page.limit],
    );
  }

  /** @throws NotFound */
  async get(tx: Reader, dataset: DatasetId, name: string, tag: boolean): Promise<Pointer> {
    const [pointer] = await tx.query<Pointer>(
      `${SELECT} WHERE p.dataset_id = $1 AND p.pointer_name = $2 AND p.is_tag = $3`,
      [dataset, name, tag],
    );
    if (!pointer) {
      throw new NotFound(`${tag ? 'Tag' : 'Branch'} ${JSON.stringify(name)} of dataset ${dataset}`);
    }
    return pointer;
  }

  /** @throws NotFound for the ref, PointerExists, InvalidInput */
  async create(
    tx: Tx,
    dataset: DatasetId,
    wanted: { name: string; from: string; tag: boolean },
  ): Promise<Pointer> {
    const name = parsePointerName(wanted.name);
    await this.#lock(tx, dataset);
    const version = await this.refs.resolve(tx, dataset, wanted.from);
    const pointer = await this.#insert(tx, dataset, name, version.id, wanted.tag);
    const { digest } = version;
    if (wanted.tag) {
      const tagged = { datasetId: dataset, tag: name, digest };
      await this.events.publish(tx, 'dataset.tag.created', subject(dataset), tagged);
    } else {
      const branched = { datasetId: dataset, branch: name, digest };
      await this.events.publish(tx, 'dataset.branch.created', subject(dataset), branched);
    }
    return pointer;
  }

  /**
   * Moves, renames or protects a branch.
   * @throws RefMoved, BranchProtected, DefaultBranch, PointerExists, NotFound, InvalidInput
   */
  async change(
    tx: Tx,
    dataset: DatasetId,
    name: string,
    changes: BranchChanges,
    expected: ExpectedHead,
  ): Promise<Pointer> {
    await this.#lock(tx, dataset);
    const branch = await this.get(tx, dataset, name, false);
    requireExpected(name, branch.digest, expected);
    const isProtected = changes.isProtected ?? branch.isProtected;
    if (changes.to !== undefined && branch.isProtected && isProtected) {
      throw new BranchProtected(name);
    }
    const newName = parsePointerName(changes.name ?? name);
    if (newName !== name) await this.#requireOther(tx, dataset, name);
    const to =
      changes.to === undefined
        ? branch.versionId
        : (await this.refs.resolve(tx, dataset, changes.to)).id;
    const taken = await tx.query(
      'SELECT 1 FROM dataset_pointers WHERE dataset_id = $1 AND pointer_name = $2 AND id <> $3',
      [dataset, newName, branch.id],
    );
    if (taken.length > 0) throw new PointerExists(newName);
    await tx.query(
      `UPDATE dataset_pointers SET dataset_version_id = $2, pointer_name = $3, is_protected = $4,
         updated_at = now() WHERE id = $1`,
      [branch.id, to, newName, isProtected],
    );
    const changed = await this.get(tx, dataset, newName, false);
    await this.events.publish(tx, 'dataset.branch.updated', subject(dataset), {
      datasetId: dataset,
      branch: newName,
      digest: changed.digest,
      previousDigest: branch.digest,
      previousName: name,
      isProtected,
    });
    return changed;
  }

  /** @throws RefMoved, BranchProtected, DefaultBranch, NotFound */
  async deleteBranch(
    tx: Tx,
    dataset: DatasetId,
    name: string,
    expected: ExpectedHead,
  ): Promise<void> {
    await this.#lock(tx, dataset);
    const branch = await this.get(tx, dataset, name, false);
    requireExpected(name, branch.digest, expected);
    await this.#requireOther(tx, dataset, name);
    if (branch.isProtected) throw new BranchProtected(name);
    await tx.query('DELETE FROM dataset_pointers WHERE id = $1', [branch.id]);
    await tx.query(
      `INSERT INTO dataset_deleted_branches (dataset_id, pointer_name, dataset_version_id)
       VALUES ($1, $2, $3)`,
      [dataset, name, branch.versionId],
    );
    await this.events.publish(tx, 'dataset.branch.deleted', subject(dataset), {
      datasetId: dataset,
      branch: name,
      digest: branch.digest,
    });
  }

  /**
   * Brings a deleted branch back to where it was; of several of one name, the last one deleted.
   * @throws NotFound where there is none, or its version has been let go
   * @throws PointerExists
   */
  async restore(tx: Tx, dataset: DatasetId, name: string): Promise<Pointer> {
    await this.#lock(tx, dataset);
    const [deleted] = await tx.query<{ versionId: VersionId | null }>(
      `DELETE FROM dataset_deleted_branches WHERE id = (
         SELECT id FROM dataset_deleted_branches WHERE dataset_id = $1 AND pointer_name = $2
         ORDER BY id DESC LIMIT 1
       ) RETURNING dataset_version_id AS "versionId"`,
      [dataset, name],
    );
    if (!deleted) throw new NotFound(`A deleted branch ${JSON.stringify(name)}`);
    const pointer = await this.#insert(tx, dataset, name, deleted.versionId, false);
    await this.events.publish(tx, 'dataset.branch.created', subject(dataset), {
      datasetId: dataset,
      branch: name,
      digest: pointer.digest,
    });
    return pointer;
  }

  /** @throws NotFound */
  async deleteTag(tx: Tx, dataset: DatasetId, name: string): Promise<void> {
    await this.#lock(tx, dataset);
    const tag = await this.get(tx, dataset, name, true);
    await tx.query('DELETE FROM dataset_pointers WHERE id = $1', [tag.id]);
    await this.events.publish(tx, 'dataset.tag.deleted', subject(dataset), {
      datasetId: dataset,
      tag: name,
      digest: tag.digest ?? '',
    });
  }

  /** @throws NotFound, NotABranch */
  async requireBranch(tx: Reader, dataset: DatasetId, name: string): Promise<Pointer> {
    const [pointer] = await tx.query<Pointer>(
      `${SELECT} WHERE p.dataset_id = $1 AND p.pointer_name = $2`,
      [dataset, name],
    );
    if (pointer?.isTag) throw new NotABranch(name);
    return pointer ?? this.get(tx, dataset, name, false);
  }

  async #insert(
    tx: Tx,
    dataset: DatasetId,
    name: string,
    version: VersionId | null,
    tag: boolean,
  ): Promise<Pointer> {
    const made = await tx.query(
      `INSERT INTO dataset_pointers (dataset_id, pointer_name, dataset_version_id, is_tag)
       VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id`,
      [dataset, name, version, tag],
    );
    if (made.length === 0) throw new PointerExists(name);
    return this.get(tx, dataset, name, tag);
  }

  async #requireOther(tx: Tx, dataset: DatasetId, name: string): Promise<void> {
    const { defaultBranch } = await this.datasets.get(tx, dataset);
    if (name === defaultBranch) throw new DefaultBranch(name);
  }

  /** The lock that commits take as well: a version that is pointed at is not deleted meanwhile. */
  async #lock(tx: Tx, dataset: DatasetId): Promise<void> {
    const locked = await tx.query(
      'SELECT 1 FROM datasets WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE',
      [dataset],
    );
    if (locked.length === 0) throw new NotFound(`Dataset ${dataset}`);
  }
}

function subject(dataset: DatasetId): string {
  return `dataset/${dataset}`;
}
