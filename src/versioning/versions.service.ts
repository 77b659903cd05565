import { Inject, Injectable } from '@nestjs/common';
import { ARTIFACT_PRODUCER, type ArtifactProducer } from '../core/contracts/artifact-producer.js';
import type { StagedPart } from '../core/contracts/staged-upload.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { VersionOperation, VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { InvalidInput } from '../core/problems.js';
import { Commits } from './commits.js';
import { ContentAccess } from './content-access.js';
import { DatasetLimits } from './dataset-limits.js';
import { Drafts, type Draft } from './drafts.js';
import { requireExpected, type ExpectedHead } from './expected-head.js';
import { parsePath } from './graph/path.js';
import { lockBranch, requireHead, type LockedBranch } from './locked-branch.js';
import type { OperationInput } from './operation-input.js';
import { Refs } from './refs.js';

/** A commit as somebody asks for it. */
export interface WantedCommit {
  readonly branch?: string;
  readonly message: string;
  /** A ref to the version that it builds on; null for an empty branch. */
  readonly parent?: string | number | null;
  readonly versionTag?: string;
  readonly operations: readonly OperationInput[];
}

/** Commits on behalf of callers, who may use only what they may read. */
@Injectable()
export class VersionsService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(ARTIFACT_PRODUCER) private readonly artifacts: ArtifactProducer,
    private readonly commits: Commits,
    private readonly refs: Refs,
    private readonly content: ContentAccess,
    private readonly drafts: Drafts,
    private readonly limits: DatasetLimits,
  ) {}

  /**
   * Commits operations, and after them the uploaded parts, each at the path that its name says.
   * @throws RefMoved, NotFound, PathMissing, PathExists, NothingChanged, FileMissing, ContentMissing,
   *   InvalidInput, PointerExists, NotABranch
   */
  async commit(
    principal: Principal,
    dataset: DatasetId,
    wanted: WantedCommit,
    parts: readonly StagedPart[],
    expectedHead: ExpectedHead,
  ): Promise<VersionRecord> {
    const paths = parts.map((part, index) => pathOf(part, index));
    return this.unitOfWork.run(async (tx) => {
      // Before any file is locked, or a commit of the same content would wait for this one while
      // this one waits for it.
      const branch = await lockBranch(tx, dataset, wanted.branch ?? null);
      requireExpected(branch.branch, branch.head?.digest ?? null, expectedHead);
      if (wanted.parent !== undefined) await this.#requireParent(tx, branch, wanted.parent);
      const puts = await this.#registered(tx, parts, paths);
      const version = await this.commits.commitOn(tx, branch, {
        author: principal.userId,
        message: wanted.message,
        operations: [...(await this.content.authorised(tx, principal, wanted.operations)), ...puts],
      });
      if (wanted.versionTag !== undefined) {
        await this.limits.requireRoom(tx, dataset, 'tags');
        await this.commits.tag(tx, version, wanted.versionTag);
      }
      return version;
    });
  }

  /**
   * Changes a draft: operations, and after them the uploaded parts, all of it or nothing.
   * @throws NotFound, PathMissing, PathExists, FileMissing, ContentMissing, InvalidInput
   */
  async changeDraft(
    principal: Principal,
    dataset: DatasetId,
    draftId: number,
    operations: readonly OperationInput[],
    parts: readonly StagedPart[],
  ): Promise<Draft> {
    const paths = parts.map((part, index) => pathOf(part, index));
    return this.unitOfWork.run(async (tx) => {
      const draft = await this.drafts.lock(tx, dataset, draftId);
      const puts = await this.#registered(tx, parts, paths);
      const authorised = await this.content.authorised(tx, principal, operations);
      return this.drafts.apply(tx, draft, [...authorised, ...puts]);
    });
  }

  async #registered(
    tx: Tx,
    parts: readonly StagedPart[],
    paths: readonly string[],
  ): Promise<VersionOperation[]> {
    const staged = parts.map(({ artifact }) => artifact);
    const artifacts = await this.artifacts.register(tx, staged, { holder: null });
    return artifacts.map(({ fileId }, index) => ({
      op: 'put',
      path: paths[index] as string,
      fileId,
    }));
  }

  async #requireParent(
    tx: Tx,
    branch: LockedBranch,
    parent: string | number | null,
  ): Promise<void> {
    const expected =
      parent === null ? null : (await this.refs.resolve(tx, branch.datasetId, String(parent))).id;
    await requireHead(tx, branch, expected);
  }
}

/** @throws InvalidInput for a part without a name that can be a path */
export function pathOf(part: StagedPart, index: number): string {
  const at = `file ${index + 1}`;
  if (part.name === null) {
    throw new InvalidInput(`${at} of the form has no filename to stand under.`, [
      { at, message: 'has no filename' },
    ]);
  }
  return parsePath(part.name, `${at}: its filename`);
}
