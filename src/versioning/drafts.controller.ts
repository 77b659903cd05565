import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { StorageFull, UploadAborted } from '../core/contracts/artifact-producer.js';
import { FileMissing } from '../core/contracts/file-catalog.js';
import type { StagedUpload } from '../core/contracts/staged-upload.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { NothingChanged, PathExists, PathMissing, RefMoved } from '../core/contracts/versions.js';
import { QuotaExceeded } from '../core/contracts/storage-quotas.js';
import { MAX_ID, type DatasetId, type VersionId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { StreamedBody } from '../platform/http/body.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { IdempotencyKeyHeader } from '../platform/http/idempotency.js';
import { decodeCursor, PageQuery, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { ReceivesUpload, Upload } from '../platform/http/staged-upload.js';
import { OperationsBody } from './commit-form.js';
import { DatasetLimits } from './dataset-limits.js';
import { DraftArchives } from './draft-archives.js';
import { DraftCommits } from './draft-commits.js';
import {
  CommitDraftDto,
  DraftUpload,
  DraftView,
  OpenDraftDto,
  OperationsDto,
  PathsQuery,
} from './drafts.dto.js';
import { Drafts } from './drafts.js';
import { etagOf } from './expected-head.js';
import type { OperationInput } from './operation-input.js';
import {
  ArchiveRefused,
  BranchProtected,
  ChecksFailed,
  ContentMissing,
  DatasetFull,
  MergeConflicts,
  NotABranch,
  PurgedContentRefused,
} from './versioning.problems.js';
import { VersionsService } from './versions.service.js';
import { VersionView } from './versions.view.js';

const isId = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;

@ApiTags('drafts')
@Controller({ path: 'datasets/:datasetId/drafts' })
export class DraftsController {
  constructor(
    private readonly drafts: Drafts,
    private readonly archives: DraftArchives,
    private readonly commits: DraftCommits,
    private readonly versions: VersionsService,
    private readonly limits: DatasetLimits,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Post()
  @OnDataset('write')
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'openDraft',
    summary: 'Open a draft',
    description:
      'A version that many requests and clients may change before it is committed in one step. It is read through the ref `draft:{id}`, and discarded when nobody changes it for long.',
  })
  @ApiCreatedResponse({ type: DraftView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, NotABranch, DatasetFull)
  async open(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() { from, branch }: OpenDraftDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DraftView> {
    const draft = await this.unitOfWork.run(async (tx) => {
      await this.limits.requireRoom(tx, dataset, 'drafts');
      return this.drafts.open(tx, dataset, principal.userId, {
        from: from ?? null,
        branch: branch ?? null,
      });
    });
    res.setHeader('Location', `/api/v1/datasets/${dataset}/drafts/${draft.id}`);
    return DraftView.of(draft);
  }

  @Get()
  @OnDataset('read')
  @ApiOperation({ operationId: 'listDrafts', summary: 'List drafts, the newest first' })
  @ApiOkResponse({ type: pageOf(DraftView) })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async list(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<DraftView>> {
    const before = cursor === undefined ? null : decodeCursor(cursor, isId);
    const rows = await this.unitOfWork.read((tx) =>
      this.drafts.list(tx, dataset, { before, limit: limit + 1 }),
    );
    return toPage(rows, limit, ({ id }) => id, DraftView.of);
  }

  @Get(':draftId')
  @OnDataset('read')
  @ApiOperation({ operationId: 'getDraft', summary: 'Get a draft' })
  @ApiOkResponse({ type: DraftView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async get(
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('draftId') draft: VersionId,
  ): Promise<DraftView> {
    return DraftView.of(await this.unitOfWork.read((tx) => this.drafts.get(tx, dataset, draft)));
  }

  @Delete(':draftId')
  @OnDataset('write')
  @HttpCode(204)
  @ApiOperation({ operationId: 'discardDraft', summary: 'Discard a draft' })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async discard(
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('draftId') draft: VersionId,
  ): Promise<void> {
    await this.unitOfWork.run(async (tx) =>
      this.drafts.discard(tx, await this.drafts.lock(tx, dataset, draft)),
    );
  }

  @Post(':draftId/files')
  @OnDataset('write')
  @ReceivesUpload('multipart')
  @HttpCode(200)
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'changeDraftFiles',
    summary: 'Put, move and remove files in a draft',
    description: 'All of it or nothing; as operations, or as a form with the files themselves.',
  })
  @ApiConsumes('application/json', 'multipart/form-data')
  @ApiExtraModels(OperationsDto, DraftUpload)
  @ApiBody({
    schema: {
      anyOf: [{ $ref: getSchemaPath(OperationsDto) }, { $ref: getSchemaPath(DraftUpload) }],
    },
  })
  @ApiOkResponse({ type: DraftView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    PathMissing,
    PathExists,
    FileMissing,
    PurgedContentRefused,
    ContentMissing,
    QuotaExceeded,
  )
  async change(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('draftId') draft: VersionId,
    @OperationsBody() operations: OperationInput[],
    @Upload() { parts }: StagedUpload,
  ): Promise<DraftView> {
    return DraftView.of(
      await this.versions.changeDraft(principal, dataset, draft, operations, parts),
    );
  }

  @Delete(':draftId/files')
  @OnDataset('write')
  @ApiOperation({ operationId: 'removeDraftFiles', summary: 'Remove files from a draft' })
  @ApiOkResponse({ type: DraftView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, PathMissing)
  async remove(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('draftId') draft: VersionId,
    @Query() { path }: PathsQuery,
  ): Promise<DraftView> {
    const removals = path.map((each) => ({ op: 'remove' as const, path: each }));
    return DraftView.of(await this.versions.changeDraft(principal, dataset, draft, removals, []));
  }

  @Put(':draftId/archive')
  @OnDataset('write')
  @StreamedBody('always')
  @ApiOperation({
    operationId: 'putDraftArchive',
    summary: 'Put a whole directory into a draft',
    description:
      'A tar stream, plain or compressed by gzip or zstd, with any number of files of any size. All of it is put or, where an entry is refused, nothing.',
  })
  @ApiConsumes('application/x-tar', 'application/gzip', 'application/zstd')
  @ApiBody({ schema: { type: 'string', format: 'binary' } })
  @ApiOkResponse({ type: DraftView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    ArchiveRefused,
    UploadAborted,
    StorageFull,
    QuotaExceeded,
  )
  async archive(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('draftId') draft: VersionId,
    @Req() req: Request,
  ): Promise<DraftView> {
    return DraftView.of(await this.archives.receive(dataset, draft, principal.userId, req));
  }

  @Post(':draftId/commit')
  @OnDataset('write')
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'commitDraft',
    summary: 'Commit a draft',
    description: 'It becomes the next version of its branch, and keeps its id.',
  })
  @ApiCreatedResponse({ type: VersionView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    RefMoved,
    MergeConflicts,
    NothingChanged,
    ChecksFailed,
    BranchProtected,
  )
  async commit(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('draftId') draft: VersionId,
    @Body() { message, rebase = false }: CommitDraftDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<VersionView> {
    const request = { author: principal.userId, message, rebase };
    const version = await this.unitOfWork.run((tx) =>
      this.commits.commit(tx, dataset, draft, request),
    );
    res.setHeader('Location', `/api/v1/datasets/${dataset}/refs/${version.versionNumber}`);
    res.setHeader('ETag', etagOf(version));
    return VersionView.of(version);
  }
}
