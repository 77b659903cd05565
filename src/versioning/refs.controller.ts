import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Res,
} from '@nestjs/common';
import {
  ApiBody,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { FileMissing } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { PathExists, PathMissing } from '../core/contracts/versions.js';
import { MAX_ID, type DatasetId, type VersionId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { decodeCursor, encodeCursor, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { etagOf } from './expected-head.js';
import { Deletions } from './deletions.js';
import { DraftView, OperationsDto, PathsQuery } from './drafts.dto.js';
import { Drafts } from './drafts.js';
import { parseOperationInputs } from './operation-input.js';
import { RefParam } from './ref-param.decorator.js';
import {
  ContentMissing,
  PurgedContentRefused,
  VersionImmutable,
  VersionNeeded,
  VersionRemoved,
} from './versioning.problems.js';
import { VersionsService } from './versions.service.js';
import { VersionContents, type ListedItem } from './version-contents.js';
import { FilesQuery } from './versions.dto.js';
import { CommonPrefixView, FileEntryView, VersionView } from './versions.view.js';

/** Stands for a version's number in the cursors of drafts, which have none. */
const DRAFT = 0;

/** A page of one version: the version is in the cursor, so that a branch may move between pages. */
type FilesCursor = [versionNumber: number, path: string, isPrefix: boolean];

@ApiTags('refs')
@Controller({ path: 'datasets/:datasetId/refs/:ref' })
export class RefsController {
  constructor(
    private readonly contents: VersionContents,
    private readonly deletions: Deletions,
    private readonly drafts: Drafts,
    private readonly versions: VersionsService,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get()
  @OnDataset('read')
  @RefParam()
  @ApiOperation({ operationId: 'getVersion', summary: 'Get the version that a ref names' })
  @ApiExtraModels(VersionView, DraftView)
  @ApiOkResponse({
    schema: {
      oneOf: [{ $ref: getSchemaPath(VersionView) }, { $ref: getSchemaPath(DraftView) }],
    },
    headers: { ETag: { description: 'A version’s digest.', schema: { type: 'string' } } },
  })
  @Problems(InvalidInput, Unauthenticated, NotFound, VersionRemoved)
  async get(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Res({ passthrough: true }) res: Response,
  ): Promise<VersionView | DraftView> {
    const located = await this.contents.locate(dataset, ref);
    if (located.kind === 'draft') {
      const draft = await this.unitOfWork.read((tx) => this.drafts.get(tx, dataset, located.id));
      return DraftView.of(draft);
    }
    res.setHeader('ETag', etagOf(located.version));
    return VersionView.of(located.version);
  }

  @Delete()
  @OnDataset('write')
  @RefParam()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteVersion',
    summary: 'Delete a version that nothing needs',
    description:
      'Only where no version or draft builds on it and no branch or tag points at it: otherwise 409, which names them.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, VersionRemoved, VersionNeeded)
  async delete(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
  ): Promise<void> {
    await this.unitOfWork.run((tx) => this.deletions.delete(tx, dataset, ref, principal.userId));
  }

  @Get('files')
  @OnDataset('read')
  @RefParam()
  @ApiOperation({
    operationId: 'listVersionFiles',
    summary: 'List the files of a version',
    description:
      'In the order of the bytes of their paths. All pages are of the version that the first one showed.',
  })
  @ApiExtraModels(FileEntryView, CommonPrefixView)
  @ApiOkResponse({
    schema: {
      type: 'object',
      required: ['items', 'nextCursor'],
      properties: {
        items: {
          type: 'array',
          items: {
            oneOf: [
              { $ref: getSchemaPath(FileEntryView) },
              { $ref: getSchemaPath(CommonPrefixView) },
            ],
          },
        },
        nextCursor: { type: ['string', 'null'] as unknown as 'string', example: null },
      },
    },
  })
  @Problems(InvalidInput, Unauthenticated, NotFound, VersionRemoved)
  async files(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() { prefix, delimiter, limit, cursor }: FilesQuery,
  ): Promise<Page<FileEntryView | CommonPrefixView>> {
    const from = cursor === undefined ? null : decodeCursor(cursor, isFilesCursor);
    const located = await this.contents.locate(dataset, from?.[0] ? String(from[0]) : ref);
    const number = located.kind === 'version' ? located.version.versionNumber : DRAFT;
    const { items, next } = await this.contents.list(located.id, {
      ...(prefix !== undefined && { prefix }),
      ...(delimiter !== undefined && { delimiter }),
      after: from && { path: from[1], isPrefix: from[2] },
      limit,
    });
    return {
      items: items.map(viewOf),
      nextCursor: next && encodeCursor([number, next.path, next.isPrefix]),
    };
  }

  @Post('files')
  @OnDataset('write')
  @RefParam()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'addFilesToVersion',
    summary: 'Add files to a draft',
    description:
      'As `POST …/drafts/{draft}/files`, for a ref of the form `draft:{id}`. A committed version never changes: 409.',
  })
  @ApiBody({ type: OperationsDto })
  @ApiOkResponse({ type: DraftView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    VersionImmutable,
    PathMissing,
    PathExists,
    FileMissing,
    ContentMissing,
    PurgedContentRefused,
  )
  async addFiles(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Body() { operations }: OperationsDto,
  ): Promise<DraftView> {
    const draft = await this.#requireDraft(dataset, ref);
    const inputs = parseOperationInputs(operations);
    return DraftView.of(await this.versions.changeDraft(principal, dataset, draft, inputs, []));
  }

  @Delete('files')
  @OnDataset('write')
  @RefParam()
  @ApiOperation({
    operationId: 'removeFilesFromVersion',
    summary: 'Remove files from a draft',
    description:
      'As `DELETE …/drafts/{draft}/files`, for a ref of the form `draft:{id}`. A committed version never changes: 409.',
  })
  @ApiOkResponse({ type: DraftView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, VersionImmutable, PathMissing)
  async removeFiles(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() { path }: PathsQuery,
  ): Promise<DraftView> {
    const draft = await this.#requireDraft(dataset, ref);
    const removals = path.map((each) => ({ op: 'remove' as const, path: each }));
    return DraftView.of(await this.versions.changeDraft(principal, dataset, draft, removals, []));
  }

  /** @throws VersionImmutable for a ref that names a committed version */
  async #requireDraft(dataset: DatasetId, ref: string): Promise<VersionId> {
    const located = await this.contents.locate(dataset, ref);
    if (located.kind === 'version') throw new VersionImmutable(ref);
    return located.id;
  }
}

function viewOf(item: ListedItem): FileEntryView | CommonPrefixView {
  return item.kind === 'entry' ? FileEntryView.of(item.entry) : { prefix: item.prefix };
}

function isFilesCursor(value: unknown): value is FilesCursor {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [versionNumber, path, isPrefix] = value as unknown[];
  return (
    Number.isInteger(versionNumber) &&
    Number(versionNumber) >= DRAFT &&
    Number(versionNumber) <= MAX_ID &&
    typeof path === 'string' &&
    path.isWellFormed() &&
    !path.includes('\0') &&
    typeof isPrefix === 'boolean'
  );
}
