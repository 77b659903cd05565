import { Inject, Injectable } from '@nestjs/common';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, LineageId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { parseRef, type RefBase } from './graph/ref.js';
import { refuseRemoved } from './removed-versions.js';
import { NotABranch } from './versioning.problems.js';
import { selectVersions, versionAtPointer } from './version-rows.js';

/** Where a version lies in its lineage, and where that came from. */
interface Place {
  readonly lineageId: LineageId;
  readonly depth: number;
  readonly originId: VersionId | null;
}

/** What a ref names, as far as reading goes: a committed version, or a draft. */
export type Readable =
  | { readonly kind: 'version'; readonly id: VersionId; readonly version: VersionRecord }
  | { readonly kind: 'draft'; readonly id: VersionId; readonly touchedAt: Date };

/** Finds the versions that refs name. */
@Injectable()
export class Refs {
  constructor(@Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository) {}

  /** What the ref names; without one, the default branch's head, or null while it is empty. */
  async resolveOrDefault(
    tx: Reader,
    dataset: DatasetId,
    text: string | null,
  ): Promise<VersionRecord | null> {
    if (text !== null) return this.resolve(tx, dataset, text);
    return versionAtPointer(tx, dataset, await this.defaultBranch(tx, dataset));
  }

  /** A branch's head; null while it is empty. @throws NotFound, NotABranch */
  async branchHead(tx: Reader, dataset: DatasetId, name: string): Promise<VersionRecord | null> {
    const [pointer] = await tx.query<{ isTag: boolean }>(
      `SELECT is_tag AS "isTag" FROM dataset_pointers WHERE dataset_id = $1 AND pointer_name = $2`,
      [dataset, name],
    );
    if (!pointer) throw new NotFound(`Branch ${JSON.stringify(name)} of dataset ${dataset}`);
    if (pointer.isTag) throw new NotABranch(name);
    return versionAtPointer(tx, dataset, name);
  }

  async defaultBranch(tx: Reader, dataset: DatasetId): Promise<string> {
    return (await this.datasets.get(tx, dataset)).defaultBranch;
  }

  /** @throws InvalidInput, VersionRemoved, NotFound for a ref that names no version of this dataset */
  async resolve(tx: Reader, dataset: DatasetId, text: string): Promise<VersionRecord> {
    const { base, generations } = parseRef(text);
    const named = await this.#named(tx, dataset, base);
    const version = named && (await this.#goBack(tx, named, generations));
    if (!version) throw new NotFound(`Version ${JSON.stringify(text)} of dataset ${dataset}`);
    return version;
  }

  /** @throws InvalidInput, NotFound for a ref that names neither a version nor a draft here */
  async locate(tx: Reader, dataset: DatasetId, text: string): Promise<Readable> {
    const { base } = parseRef(text);
    if (base.kind !== 'draft') {
      const version = await this.resolve(tx, dataset, text);
      return { kind: 'version', id: version.id, version };
    }
    const [draft] = await tx.query<{ id: VersionId; touchedAt: Date }>(
      `SELECT id, draft_touched_at AS "touchedAt" FROM dataset_versions
       WHERE dataset_id = $1 AND id = $2 AND status = 'draft' AND draft_of IS NULL`,
      [dataset, base.id],
    );
    if (!draft) throw new NotFound(`Draft ${base.id} of dataset ${dataset}`);
    return { kind: 'draft', ...draft };
  }

  async #named(tx: Reader, dataset: DatasetId, base: RefBase): Promise<VersionRecord | null> {
    const where = (condition: string, value: unknown) =>
      this.#kept(tx, `v.dataset_id = $1 AND ${condition}`, [dataset, value]);
    switch (base.kind) {
      case 'pointer':
        return versionAtPointer(tx, dataset, base.name);
      case 'number':
        return where('v.version_number = $2', base.versionNumber);
      case 'digest':
        return where('v.digest = $2', base.digest);
      case 'draft':
        return null;
    }
  }

  /** Follows first parents, a whole lineage at a time: its versions have consecutive depths. */
  async #goBack(
    tx: Reader,
    version: VersionRecord,
    generations: number,
  ): Promise<VersionRecord | null> {
    if (generations === 0) return version;
    let at: VersionId | null = version.id;
    let left = generations;
    while (at !== null) {
      const [place]: Place[] = await tx.query<Place>(
        `SELECT v.lineage_id AS "lineageId", v.lineage_depth AS depth,
           l.origin_version_id AS "originId"
         FROM dataset_versions v JOIN dataset_lineages l ON l.id = v.lineage_id WHERE v.id = $1`,
        [at],
      );
      if (!place) return null;
      if (left < place.depth) {
        return this.#kept(tx, 'v.lineage_id = $1 AND v.lineage_depth = $2', [
          place.lineageId,
          place.depth - left,
        ]);
      }
      left -= place.depth;
      at = place.originId;
      if (left === 0) return at === null ? null : this.#kept(tx, 'v.id = $1', [at]);
    }
    return null;
  }

  /** @throws VersionRemoved where it was there once */
  async #kept(
    tx: Reader,
    condition: string,
    parameters: readonly unknown[],
  ): Promise<VersionRecord | null> {
    const [version] = await selectVersions(
      tx,
      `WHERE ${condition} AND v.status = 'committed'`,
      parameters,
    );
    if (!version) await refuseRemoved(tx, condition, parameters);
    return version ?? null;
  }
}
