import { Body, Controller, Get, HttpCode, Inject, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { FileMissing } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { NothingChanged, type VersionRecord } from '../core/contracts/versions.js';
import { MAX_ID, type DatasetId, type FileId, type VersionId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { IdempotencyKeyHeader } from '../platform/http/idempotency.js';
import { decodeCursor, encodeCursor, pageOf, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { Compare } from './compare.js';
import { ContentAccess } from './content-access.js';
import { etagOf } from './expected-head.js';
import type { Difference } from './graph/diff.js';
import { parsePath, pathComplaint } from './graph/path.js';
import { History } from './history.js';
import {
  CompareQuery,
  DifferenceView,
  MergeDto,
  MergeView,
  ReplayDto,
  type ResolutionDto,
} from './merges.dto.js';
import { Merges, type MergeOutcome, type Resolution, type Resolutions } from './merges.js';
import { Refs } from './refs.js';
import { refuseRemoved } from './removed-versions.js';
import {
  BranchProtected,
  ChecksFailed,
  conflictView,
  MergeConflicts,
  NotABranch,
  PurgedContentRefused,
} from './versioning.problems.js';
import { versionById } from './version-rows.js';
import { VersionTree } from './version-tree.js';
import { FileEntryView, VersionView } from './versions.view.js';

/** A page of one comparison: both versions are in the cursor, so that branches may move meanwhile. */
type CompareCursor = [from: number, to: number, path: string];

/** What may keep a version's change from being done again, or taken back. */
const REPLAY_PROBLEMS = [
  InvalidInput,
  Unauthenticated,
  Forbidden,
  NotFound,
  NotABranch,
  BranchProtected,
  MergeConflicts,
  ChecksFailed,
  NothingChanged,
  FileMissing,
  PurgedContentRefused,
] as const;

@ApiTags('merges')
@Controller({ path: 'datasets/:datasetId' })
export class MergesController {
  constructor(
    private readonly merges: Merges,
    private readonly compare: Compare,
    private readonly history: History,
    private readonly content: ContentAccess,
    private readonly refs: Refs,
    private readonly tree: VersionTree,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get('compare')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'compareVersions',
    summary: 'Compare two versions',
    description:
      'Paths added, removed, changed and moved, in their order. The same bytes under the same path are never a difference.',
  })
  @ApiOkResponse({ type: pageOf(DifferenceView) })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async differences(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() query: CompareQuery,
  ): Promise<Page<DifferenceView>> {
    const cursor = query.cursor === undefined ? null : decodeCursor(query.cursor, isCompareCursor);
    return this.unitOfWork.read(async (tx) => {
      const [from, to] = cursor
        ? [
            await this.#numbered(tx, dataset, cursor[0]),
            await this.#numbered(tx, dataset, cursor[1]),
          ]
        : await this.#sides(tx, dataset, query);
      const { items, hasMore } = await this.compare.page(tx, [from.id, to.id], {
        after: cursor?.[2] ?? '',
        limit: query.limit,
      });
      const last = items.at(-1);
      return {
        items: await this.#described(tx, items),
        nextCursor:
          last && hasMore ? encodeCursor([from.versionNumber, to.versionNumber, last.path]) : null,
      };
    });
  }

  @Post('merges')
  @OnDataset('write')
  @HttpCode(200)
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'mergeVersions',
    summary: 'Merge a version into a branch',
    description:
      'Moves the branch where it only lags behind, else makes a version with both parents. Where both sides changed a path differently: 409 with every conflict, and nothing is changed.',
  })
  @ApiOkResponse({ type: MergeView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    NotABranch,
    MergeConflicts,
    ChecksFailed,
    FileMissing,
    PurgedContentRefused,
  )
  async merge(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() { from, into, message, dryRun = false, ...choices }: MergeDto,
  ): Promise<MergeView> {
    const wanted = { dataset, from, into };
    if (dryRun) {
      return this.unitOfWork.read(async (tx) => {
        const resolutions = await this.#resolutions(tx, principal, choices);
        return mergeView(await this.merges.preview(tx, { ...wanted, resolutions }));
      });
    }
    return this.unitOfWork.run(async (tx) =>
      mergeView(
        await this.merges.merge(tx, {
          ...wanted,
          author: principal.userId,
          message: message ?? `Merge ${from} into ${into}`,
          resolutions: await this.#resolutions(tx, principal, choices),
        }),
      ),
    );
  }

  @Post('reverts')
  @OnDataset('write')
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'revertVersion',
    summary: 'Take back what a version changed',
    description: 'As a new version on a branch. What has been changed since is a conflict: 409.',
  })
  @ApiCreatedResponse({ type: VersionView })
  @Problems(...REPLAY_PROBLEMS)
  revert(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() body: ReplayDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<VersionView> {
    return this.#replay('revert', principal, dataset, body, res);
  }

  @Post('cherry-picks')
  @OnDataset('write')
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'cherryPickVersion',
    summary: 'Do again what a version changed',
    description: 'As a new version on another branch, with the same report of conflicts.',
  })
  @ApiCreatedResponse({ type: VersionView })
  @Problems(...REPLAY_PROBLEMS)
  cherryPick(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() body: ReplayDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<VersionView> {
    return this.#replay('cherryPick', principal, dataset, body, res);
  }

  async #replay(
    verb: 'revert' | 'cherryPick',
    principal: Principal,
    dataset: DatasetId,
    { version: from, branch: into, message, ...choices }: ReplayDto,
    res: Response,
  ): Promise<VersionView> {
    const made = await this.unitOfWork.run(async (tx) =>
      this.merges[verb](tx, {
        dataset,
        author: principal.userId,
        from,
        into,
        message: message ?? `${verb === 'revert' ? 'Revert' : 'Pick'} ${from}`,
        resolutions: await this.#resolutions(tx, principal, choices),
      }),
    );
    res.setHeader('Location', `/api/v1/datasets/${dataset}/refs/${made.versionNumber}`);
    res.setHeader('ETag', etagOf(made));
    return VersionView.of(made);
  }

  async #resolutions(
    tx: Reader,
    principal: Principal,
    {
      resolutions = [],
      defaultResolution,
    }: { resolutions?: ResolutionDto[]; defaultResolution?: 'ours' | 'theirs' },
  ): Promise<Resolutions> {
    const byPath = new Map<string, Resolution>();
    for (const [index, { path, take, fileId }] of resolutions.entries()) {
      const at = `resolutions.${index}`;
      parsePath(path, `${at}.path`);
      if ((take === undefined) === (fileId === undefined)) {
        const message = 'takes either take or fileId';
        throw new InvalidInput(`${at} ${message}.`, [{ at, message }]);
      }
      if (take !== undefined) byPath.set(path, take);
      else {
        const content =
          fileId === null || fileId === undefined
            ? null
            : { fileId: fileId as FileId, metadata: null };
        byPath.set(path, { content });
      }
    }
    const puts = resolutions.flatMap(({ path, fileId }) =>
      fileId === null || fileId === undefined ? [] : [{ op: 'put' as const, path, fileId }],
    );
    await this.content.authorised(tx, principal, puts);
    return { byPath, others: defaultResolution ?? null };
  }

  async #sides(
    tx: Reader,
    dataset: DatasetId,
    { base, head, mode }: CompareQuery,
  ): Promise<[VersionRecord, VersionRecord]> {
    const from = await this.refs.resolve(tx, dataset, base);
    const to = await this.refs.resolve(tx, dataset, head);
    if (mode === 'two-dot') return [from, to];
    const [common] = await this.history.mergeBases(tx, from.id, to.id);
    return [common === undefined ? from : await this.#byId(tx, common), to];
  }

  async #byId(tx: Reader, id: VersionId): Promise<VersionRecord> {
    const version = await versionById(tx, id);
    if (!version) await refuseRemoved(tx, 'v.id = $1', [id]);
    if (!version) throw new NotFound(`Version ${id}`);
    return version;
  }

  #numbered(tx: Reader, dataset: DatasetId, versionNumber: number): Promise<VersionRecord> {
    return this.refs.resolve(tx, dataset, String(versionNumber));
  }

  async #described(tx: Reader, found: readonly Difference[]): Promise<DifferenceView[]> {
    const sides = found.map((difference) => ({
      before:
        'before' in difference
          ? {
              path: difference.kind === 'moved' ? difference.from : difference.path,
              content: difference.before,
            }
          : null,
      after: 'after' in difference ? { path: difference.path, content: difference.after } : null,
    }));
    const contents = sides.flatMap(({ before, after }) => [before ?? [], after ?? []].flat());
    const entries = (await this.tree.describe(tx, contents)).map(FileEntryView.of);
    return found.map((difference, index) => ({
      kind: difference.kind,
      path: difference.path,
      from: difference.kind === 'moved' ? difference.from : null,
      before: sides[index]?.before ? (entries.shift() ?? null) : null,
      after: sides[index]?.after ? (entries.shift() ?? null) : null,
    }));
  }
}

function mergeView({ kind, version, changes, conflicts }: MergeOutcome): MergeView {
  return {
    kind,
    version: version && VersionView.of(version),
    changedPaths: changes.length,
    conflicts: conflicts.map(conflictView),
  };
}

function isCompareCursor(value: unknown): value is CompareCursor {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [from, to, path] = value as unknown[];
  const isNumber = (each: unknown) =>
    Number.isInteger(each) && Number(each) >= 1 && Number(each) <= MAX_ID;
  return isNumber(from) && isNumber(to) && pathComplaint(path) === null;
}
