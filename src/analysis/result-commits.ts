import { Inject, Injectable } from '@nestjs/common';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import {
  ARTIFACT_PRODUCER,
  type ArtifactProducer,
  type StagedArtifact,
} from '../core/contracts/artifact-producer.js';
import type { TableSourceFile } from '../core/contracts/tables.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import {
  VERSION_READER,
  VERSION_WRITER,
  type VersionReader,
  type VersionWriter,
} from '../core/contracts/versions.js';
import type { DatasetId, FileId, Sha256 } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import type { Principal } from '../core/principal.js';
import type { CommitOrder } from './orders.js';
import { ResultSources } from './result-sources.js';

/** A file that a job has made, and of what. */
export interface Result {
  readonly staged: StagedArtifact;
  readonly sources: readonly TableSourceFile[];
}

/** Keeps the files that jobs make: for whoever asked, and on a branch where that was asked for. */
@Injectable()
export class ResultCommits {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(ACCESS_POLICY) private readonly access: AccessPolicy,
    @Inject(ARTIFACT_PRODUCER) private readonly artifacts: ArtifactProducer,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    @Inject(VERSION_WRITER) private readonly writer: VersionWriter,
    private readonly sources: ResultSources,
  ) {}

  /** @throws NotFound, Forbidden */
  async requireAllowed(
    tx: Tx,
    principal: Principal,
    source: DatasetId,
    commit: CommitOrder | undefined,
  ): Promise<void> {
    if (!commit) return;
    await this.access.requireDataset(tx, principal, targetOf(commit, source), 'write');
  }

  /**
   * Registers a file, and commits it, in one transaction with `told`.
   * @returns what the job has to tell of it
   */
  async keep(
    principal: Principal,
    source: DatasetId,
    { staged, sources }: Result,
    commit: CommitOrder | undefined,
    told: (tx: Tx, file: { fileId: FileId; sha256: Sha256 }) => Promise<unknown>,
  ): Promise<JsonObject> {
    return this.unitOfWork.run(async (tx) => {
      await this.sources.requirePresent(tx, source, sources);
      await this.requireAllowed(tx, principal, source, commit);
      const [file] = await this.artifacts.register(tx, [staged], { holder: principal.userId });
      if (!file) throw new Error('The file was not registered.');
      const { fileId, sha256, sizeBytes } = file;
      await this.sources.note(tx, source, principal.userId, fileId, sources);
      const version = commit
        ? await this.commit(tx, principal, source, fileId, commit, staged.metadata)
        : null;
      await told(tx, { fileId, sha256 });
      return { fileId, sha256, sizeBytes, ...(version && { committed: version }) };
    });
  }

  /** What stands there already needs no new version: the job may be done a second time. */
  private async commit(
    tx: Tx,
    principal: Principal,
    source: DatasetId,
    fileId: FileId,
    commit: CommitOrder,
    metadata: JsonObject,
  ): Promise<JsonObject> {
    const datasetId = targetOf(commit, source);
    const { branch, path, message = `Add ${commit.path}` } = commit;
    const head = await this.versions.head(tx, datasetId, branch);
    const entry = head && (await this.versions.entry(tx, head.id, path));
    if (head && entry?.fileId === fileId) return { datasetId, versionNumber: head.versionNumber };
    const { versionNumber } = await this.writer.commit(tx, {
      datasetId,
      branch,
      author: principal.userId,
      message,
      operations: [{ op: 'put', path, fileId, metadata }],
    });
    return { datasetId, versionNumber };
  }
}

function targetOf({ datasetId }: CommitOrder, source: DatasetId): DatasetId {
  return (datasetId as DatasetId | undefined) ?? source;
}
