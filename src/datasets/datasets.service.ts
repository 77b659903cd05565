import { Inject, Injectable } from '@nestjs/common';
import { isDeepStrictEqual } from 'node:util';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import { ARTIFACT_PRODUCER, type ArtifactProducer } from '../core/contracts/artifact-producer.js';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import type { StagedPart } from '../core/contracts/staged-upload.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import {
  VERSION_READER,
  VERSION_WRITER,
  type VersionReader,
  type VersionStatistics,
  type VersionWriter,
} from '../core/contracts/versions.js';
import type { DatasetId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { InvalidInput, NotFound } from '../core/problems.js';
import {
  listStatement,
  ownerParameters,
  type DatasetCursor,
  type DatasetFilter,
} from './dataset-list.js';
import { MAX_TAGS } from './dataset-rules.js';
import { DatasetForgotten, TooManyTags } from './dataset.problems.js';
import {
  DatasetsRepository,
  SELECT_DETAILS,
  type DatasetChanges,
  type DatasetDetails,
  type NewDataset,
} from './datasets.repository.js';
import { requireMatch, type IfMatch } from './etag.js';

/** The files of a new dataset's first version. */
export interface FirstFiles {
  readonly parts: readonly StagedPart[];
  readonly message: string;
}

const DEFAULT_MESSAGE = 'First files';

/** What can be done with datasets. Who may do it has been checked where the id came in. */
@Injectable()
export class DatasetsService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    @Inject(ARTIFACT_PRODUCER) private readonly producer: ArtifactProducer,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    @Inject(VERSION_WRITER) private readonly versionWriter: VersionWriter,
    private readonly repository: DatasetsRepository,
  ) {}

  /**
   * Makes a dataset of the caller's, and of files that came along its first version.
   * @throws DatasetNameTaken, InvalidInput
   */
  async create(
    principal: Principal,
    dataset: NewDataset,
    files: FirstFiles = { parts: [], message: '' },
  ): Promise<DatasetDetails> {
    return this.unitOfWork.run(async (tx) => {
      const id = await this.found(tx, principal, dataset);
      if (files.parts.length > 0) await this.commitFirst(tx, principal, id, dataset, files);
      return this.repository.details(tx, id);
    });
  }

  /** Makes a dataset that can take commits, in the caller's transaction. @throws DatasetNameTaken */
  async found(tx: Tx, principal: Principal, dataset: NewDataset): Promise<DatasetId> {
    const { userId } = principal;
    const id = await this.repository.insert(tx, userId, dataset);
    await this.events.publish(tx, 'dataset.created', subject(id), {
      datasetId: id,
      name: dataset.name,
      createdBy: userId,
    });
    await this.versionWriter.initialize(tx, id, dataset.defaultBranch);
    return id;
  }

  async get(id: DatasetId): Promise<DatasetDetails> {
    return this.unitOfWork.read((tx) => this.repository.details(tx, id));
  }

  /**
   * The living dataset with this name.
   * @param owner an id, or a user's name or id as text; a name wins where it is another's id
   * @throws NotFound also where the caller may not read it
   */
  async getByName(
    principal: Principal,
    name: string,
    owner: string | UserId,
  ): Promise<DatasetDetails> {
    const readable = this.policy.readableDatasets(principal, 'd', 4);
    return this.unitOfWork.read(async (tx) => {
      const [row] = await tx.query<DatasetDetails>(
        `${SELECT_DETAILS} WHERE d.name = $1 AND (u.name = $2 OR u.id = $3::integer)
           AND d.deleted_at IS NULL AND (${readable.sql})
         ORDER BY (u.name = $2) DESC LIMIT 1`,
        [name, ...ownerParameters(owner), ...readable.parameters],
      );
      if (!row) throw new NotFound(`Dataset ${JSON.stringify(name)} of ${owner}`);
      return row;
    });
  }

  /** One page of the datasets that the caller may read; `limit` rows at the most. */
  async list(
    principal: Principal,
    filter: DatasetFilter,
    page: { after: DatasetCursor | null; limit: number },
  ): Promise<DatasetDetails[]> {
    const wanted = filter.deleted ? 'admin' : 'read';
    const { sql, parameters } = listStatement(filter, page, (firstParameter) =>
      this.policy.readableDatasets(principal, 'd', firstParameter, wanted),
    );
    return this.unitOfWork.read((tx) => tx.query<DatasetDetails>(sql, parameters));
  }

  /** @throws NotFound, DatasetChanged, DatasetNameTaken */
  async change(id: DatasetId, wanted: DatasetChanges, ifMatch: IfMatch): Promise<DatasetDetails> {
    return this.unitOfWork.run(async (tx) => {
      const dataset = await this.repository.lock(tx, id);
      requireMatch(ifMatch, dataset);
      const changed = (['name', 'description', 'metadata'] as const).filter(
        (key) => wanted[key] !== undefined && !isDeepStrictEqual(wanted[key], dataset[key]),
      );
      if (changed.length === 0) return dataset;
      const changes = Object.fromEntries(changed.map((key) => [key, wanted[key]]));
      await this.repository.update(tx, id, changes);
      await this.publishUpdated(tx, id, changed);
      return this.repository.details(tx, id);
    });
  }

  /** Hides a dataset; it can be restored until its retention has passed. @throws DatasetChanged */
  async remove(id: DatasetId, ifMatch: IfMatch): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      requireMatch(ifMatch, await this.repository.lock(tx, id));
      const deletedAt = await this.repository.softDelete(tx, id);
      await this.events.publish(tx, 'dataset.deleted', subject(id), {
        datasetId: id,
        deletedAt: deletedAt.toISOString(),
      });
    });
  }

  /** Brings a deleted dataset back; a living one stays as it is. @throws DatasetForgotten, DatasetNameTaken */
  async restore(id: DatasetId): Promise<DatasetDetails> {
    return this.unitOfWork.run(async (tx) => {
      const dataset = await this.repository.lock(tx, id, { includeDeleted: true });
      if (!dataset.deletedAt) return dataset;
      if (dataset.forgottenAt) throw new DatasetForgotten(dataset.deletedAt);
      await this.repository.restore(tx, dataset);
      await this.events.publish(tx, 'dataset.restored', subject(id), { datasetId: id });
      return this.repository.details(tx, id);
    });
  }

  /** @throws TooManyTags */
  async addTag(id: DatasetId, tag: string): Promise<DatasetDetails> {
    return this.changeTags(id, async (tx, { tags }) => {
      if (tags.includes(tag)) return false;
      if (tags.length >= MAX_TAGS) throw new TooManyTags(MAX_TAGS);
      await this.repository.addTag(tx, id, tag);
      return true;
    });
  }

  async removeTag(id: DatasetId, tag: string): Promise<DatasetDetails> {
    return this.changeTags(id, async (tx, { tags }) => {
      if (!tags.includes(tag)) return false;
      await this.repository.removeTag(tx, id, tag);
      return true;
    });
  }

  /** Of the whole dataset, or of the version that `ref` names. @throws NotFound */
  async statistics(id: DatasetId, ref: string | null): Promise<VersionStatistics> {
    return this.unitOfWork.read((tx) => this.versions.statistics(tx, id, ref));
  }

  /** Holds the dataset's lock, so that two requests at once cannot pass the limit together. */
  private async changeTags(
    id: DatasetId,
    change: (tx: Tx, dataset: DatasetDetails) => Promise<boolean>,
  ): Promise<DatasetDetails> {
    return this.unitOfWork.run(async (tx) => {
      const dataset = await this.repository.lock(tx, id);
      if (!(await change(tx, dataset))) return dataset;
      await this.repository.touch(tx, id);
      await this.publishUpdated(tx, id, ['tags']);
      return this.repository.details(tx, id);
    });
  }

  private async publishUpdated(tx: Tx, id: DatasetId, changed: string[]): Promise<void> {
    await this.events.publish(tx, 'dataset.updated', subject(id), { datasetId: id, changed });
  }

  private async commitFirst(
    tx: Tx,
    principal: Principal,
    id: DatasetId,
    dataset: NewDataset,
    files: FirstFiles,
  ): Promise<void> {
    const artifacts = await this.producer.register(
      tx,
      files.parts.map(({ artifact }) => artifact),
      { holder: null },
    );
    await this.versionWriter.commit(tx, {
      datasetId: id,
      branch: dataset.defaultBranch,
      author: principal.userId,
      message: files.message || DEFAULT_MESSAGE,
      operations: artifacts.map(({ fileId }, index) => ({
        op: 'put',
        path: pathOf(files.parts[index], index),
        fileId,
      })),
      expectedParent: null,
    });
  }
}

/** What events about a dataset are about. */
function subject(id: DatasetId): string {
  return `dataset/${id}`;
}

function pathOf(part: StagedPart | undefined, index: number): string {
  if (part?.name) return part.name;
  throw new InvalidInput(`File ${index + 1} of the form has no filename to stand under.`);
}
