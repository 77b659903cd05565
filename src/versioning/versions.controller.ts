import { Controller, Get, Headers, Inject, Post, Query, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { FileMissing } from '../core/contracts/file-catalog.js';
import type { StagedUpload } from '../core/contracts/staged-upload.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import {
  NothingChanged,
  PathExists,
  PathMissing,
  RefMoved,
  type VersionRecord,
} from '../core/contracts/versions.js';
import { QuotaExceeded } from '../core/contracts/storage-quotas.js';
import { MAX_ID, type DatasetId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { BodyTooLarge, UnsupportedMediaType } from '../platform/http/http-problems.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { IdempotencyKeyHeader } from '../platform/http/idempotency.js';
import { decodeCursor, encodeCursor, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { ReceivesUpload, Upload } from '../platform/http/staged-upload.js';
import { CommitBody } from './commit-form.js';
import { etagOf, parseIfMatch } from './expected-head.js';
import { Refs } from './refs.js';
import { VersionLog } from './version-log.js';
import {
  BranchProtected,
  ChecksFailed,
  DatasetFull,
  ContentMissing,
  NotABranch,
  PointerExists,
  PurgedContentRefused,
} from './versioning.problems.js';
import { CommitDto, CommitUpload, VersionLogQuery } from './versions.dto.js';
import { VersionsService, type WantedCommit } from './versions.service.js';
import { VersionView } from './versions.view.js';

/** A cursor over many lines of history names a version of each; no history here is wider. */
const MAX_FRONTIER = 1000;

@ApiTags('versions')
@Controller({ path: 'datasets/:datasetId/versions' })
export class VersionsController {
  constructor(
    private readonly versions: VersionsService,
    private readonly refs: Refs,
    private readonly log: VersionLog,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Post()
  @OnDataset('write')
  @ReceivesUpload('multipart')
  @ApiOperation({
    operationId: 'commitVersion',
    summary: 'Commit a version',
    description:
      'Puts, moves and removes paths on a branch; or, sent as a form, puts the files that come with it. With `parent` or `If-Match` only where the branch is still where you read it.',
  })
  @IdempotencyKeyHeader()
  @ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'The ETag of the branch as you read it; 412 when it has moved since.',
    schema: { type: 'string' },
  })
  @ApiConsumes('application/json', 'multipart/form-data')
  @ApiExtraModels(CommitDto, CommitUpload)
  @ApiBody({
    schema: {
      anyOf: [{ $ref: getSchemaPath(CommitDto) }, { $ref: getSchemaPath(CommitUpload) }],
    },
  })
  @ApiCreatedResponse({
    type: VersionView,
    headers: {
      Location: { description: 'Where the version is.', schema: { type: 'string' } },
      ETag: { description: 'The version’s digest.', schema: { type: 'string' } },
    },
  })
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    RefMoved,
    PathMissing,
    PathExists,
    NothingChanged,
    ChecksFailed,
    NotABranch,
    BranchProtected,
    PointerExists,
    DatasetFull,
    FileMissing,
    PurgedContentRefused,
    ContentMissing,
    BodyTooLarge,
    UnsupportedMediaType,
    QuotaExceeded,
  )
  async commit(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @CommitBody() wanted: WantedCommit,
    @Upload() { parts }: StagedUpload,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) res: Response,
  ): Promise<VersionView> {
    const expected = parseIfMatch(ifMatch);
    const version = await this.versions.commit(principal, dataset, wanted, parts, expected);
    res.setHeader('Location', `/api/v1/datasets/${dataset}/refs/${version.versionNumber}`);
    res.setHeader('ETag', etagOf(version));
    return VersionView.of(version);
  }

  @Get()
  @OnDataset('read')
  @ApiOperation({
    operationId: 'listVersions',
    summary: 'Read the history',
    description:
      'The newest version first: all of them, those that led to a ref, or those that changed a path.',
  })
  @ApiOkResponse({ type: pageOf(VersionView) })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async list(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() query: VersionLogQuery,
  ): Promise<Page<VersionView>> {
    return query.ref !== undefined && query.path === undefined
      ? this.#ancestry(dataset, query.ref, query)
      : this.#numbered(dataset, query);
  }

  async #numbered(
    dataset: DatasetId,
    { ref, path, limit, cursor }: VersionLogQuery,
  ): Promise<Page<VersionView>> {
    const below = cursor === undefined ? null : decodeCursor(cursor, isVersionNumber);
    const page = { below, limit: limit + 1 };
    const rows = await this.unitOfWork.read(async (tx) => {
      if (path === undefined) return this.log.all(tx, dataset, page);
      const version = await this.refs.resolveOrDefault(tx, dataset, ref ?? null);
      return version ? this.log.ofPath(tx, version.id, path, page) : [];
    });
    return toPage(rows, limit, ({ versionNumber }) => versionNumber, VersionView.of);
  }

  async #ancestry(
    dataset: DatasetId,
    ref: string,
    { limit, cursor }: VersionLogQuery,
  ): Promise<Page<VersionView>> {
    const { versions, frontier } = await this.unitOfWork.read(async (tx) => {
      const heads =
        cursor === undefined
          ? [(await this.refs.resolve(tx, dataset, ref)).versionNumber]
          : decodeCursor(cursor, isFrontier);
      return this.log.ancestry(tx, dataset, heads, limit);
    });
    return {
      items: versions.map((version: VersionRecord) => VersionView.of(version)),
      nextCursor: frontier.length > 0 ? encodeCursor(frontier) : null,
    };
  }
}

function isVersionNumber(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;
}

function isFrontier(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= MAX_FRONTIER &&
    value.every(isVersionNumber)
  );
}
