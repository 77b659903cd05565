import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Res,
} from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { RefMoved } from '../core/contracts/versions.js';
import type { DatasetId } from '../core/ids.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { IdempotencyKeyHeader } from '../platform/http/idempotency.js';
import { decodeCursor, PageQuery, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { Problems } from '../platform/http/problems.decorator.js';
import {
  BranchView,
  ChangeBranchDto,
  CreateBranchDto,
  CreateTagDto,
  ProtectBranchDto,
  TagView,
} from './branches.dto.js';
import { Branches, type Pointer } from './branches.js';
import { DatasetLimits } from './dataset-limits.js';
import { etagOf, parseIfMatch } from './expected-head.js';
import { pointerNameComplaint } from './graph/ref.js';
import {
  BranchProtected,
  DatasetFull,
  DefaultBranch,
  PointerExists,
} from './versioning.problems.js';

const NameParam = (name: string) =>
  ApiParam({
    name,
    description: 'URL-encoded, slashes too.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
    example: 'feature/a',
  });

const IfMatchHeader = () =>
  ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'The ETag of the branch as you read it; 412 when it has moved since.',
    schema: { type: 'string' },
  });

const isName = (value: unknown): value is string => pointerNameComplaint(value) === null;

@ApiTags('branches')
@Controller({ path: 'datasets/:datasetId' })
export class BranchesController {
  constructor(
    private readonly branches: Branches,
    private readonly limits: DatasetLimits,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get('branches')
  @OnDataset('read')
  @ApiOperation({ operationId: 'listBranches', summary: 'List branches' })
  @ApiOkResponse({ type: pageOf(BranchView) })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async list(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() query: PageQuery,
  ): Promise<Page<BranchView>> {
    return this.#list(dataset, query, false, BranchView.of);
  }

  @Post('branches')
  @OnDataset('write')
  @IdempotencyKeyHeader()
  @ApiOperation({ operationId: 'createBranch', summary: 'Create a branch from any ref' })
  @ApiCreatedResponse({ type: BranchView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, PointerExists, DatasetFull)
  async create(
    @IdParam('datasetId') dataset: DatasetId,
    @Body() body: CreateBranchDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<BranchView> {
    const branch = await this.unitOfWork.run(async (tx) => {
      await this.limits.requireRoom(tx, dataset, 'branches');
      return this.branches.create(tx, dataset, { ...body, tag: false });
    });
    return answer(res, branch);
  }

  @Get('branches/:branch')
  @OnDataset('read')
  @NameParam('branch')
  @ApiOperation({ operationId: 'getBranch', summary: 'Get a branch' })
  @ApiOkResponse({ type: BranchView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async get(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('branch') name: string,
    @Res({ passthrough: true }) res: Response,
  ): Promise<BranchView> {
    return answer(
      res,
      await this.unitOfWork.read((tx) => this.branches.get(tx, dataset, name, false)),
    );
  }

  @Patch('branches/:branch')
  @OnDataset('write')
  @NameParam('branch')
  @IfMatchHeader()
  @ApiOperation({ operationId: 'changeBranch', summary: 'Move or rename a branch' })
  @ApiOkResponse({ type: BranchView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    RefMoved,
    BranchProtected,
    DefaultBranch,
    PointerExists,
  )
  async change(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('branch') name: string,
    @Body() changes: ChangeBranchDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) res: Response,
  ): Promise<BranchView> {
    if (changes.to === undefined && changes.name === undefined) {
      throw new InvalidInput('Say where the branch shall go (to) or what to call it (name).');
    }
    const expected = parseIfMatch(ifMatch);
    const branch = await this.unitOfWork.run((tx) =>
      this.branches.change(tx, dataset, name, changes, expected),
    );
    return answer(res, branch);
  }

  @Put('branches/:branch/protection')
  @OnDataset('admin')
  @NameParam('branch')
  @ApiOperation({
    operationId: 'protectBranch',
    summary: 'Protect a branch, or lift its protection',
    description: 'Only merges move a protected branch, and it cannot be deleted.',
  })
  @ApiOkResponse({ type: BranchView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async protect(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('branch') name: string,
    @Body() { isProtected }: ProtectBranchDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<BranchView> {
    const branch = await this.unitOfWork.run((tx) =>
      this.branches.change(tx, dataset, name, { isProtected }, null),
    );
    return answer(res, branch);
  }

  @Delete('branches/:branch')
  @OnDataset('write')
  @NameParam('branch')
  @IfMatchHeader()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteBranch',
    summary: 'Delete a branch',
    description: 'Its versions stay, and it can be restored for as long as they do.',
  })
  @ApiNoContentResponse()
  @Problems(
    InvalidInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    RefMoved,
    BranchProtected,
    DefaultBranch,
  )
  async delete(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('branch') name: string,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    const expected = parseIfMatch(ifMatch);
    await this.unitOfWork.run((tx) => this.branches.deleteBranch(tx, dataset, name, expected));
  }

  @Post('branches/:branch/restore')
  @OnDataset('write')
  @NameParam('branch')
  @HttpCode(200)
  @ApiOperation({ operationId: 'restoreBranch', summary: 'Restore a deleted branch' })
  @ApiOkResponse({ type: BranchView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, PointerExists, DatasetFull)
  async restore(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('branch') name: string,
    @Res({ passthrough: true }) res: Response,
  ): Promise<BranchView> {
    return answer(res, await this.unitOfWork.run((tx) => this.branches.restore(tx, dataset, name)));
  }

  @Get('version-tags')
  @OnDataset('read')
  @ApiOperation({ operationId: 'listVersionTags', summary: 'List version tags' })
  @ApiOkResponse({ type: pageOf(TagView) })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async listTags(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() query: PageQuery,
  ): Promise<Page<TagView>> {
    return this.#list(dataset, query, true, TagView.of);
  }

  @Post('version-tags')
  @OnDataset('write')
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'createVersionTag',
    summary: 'Tag a version',
    description: 'A tag never moves; delete it and make it anew where it must.',
  })
  @ApiCreatedResponse({ type: TagView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, PointerExists, DatasetFull)
  async createTag(
    @IdParam('datasetId') dataset: DatasetId,
    @Body() body: CreateTagDto,
  ): Promise<TagView> {
    const tag = await this.unitOfWork.run(async (tx) => {
      await this.limits.requireRoom(tx, dataset, 'tags');
      return this.branches.create(tx, dataset, { ...body, tag: true });
    });
    return TagView.of(tag);
  }

  @Delete('version-tags/:tag')
  @OnDataset('write')
  @NameParam('tag')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteVersionTag', summary: 'Delete a version tag' })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async deleteTag(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('tag') name: string,
  ): Promise<void> {
    await this.unitOfWork.run((tx) => this.branches.deleteTag(tx, dataset, name));
  }

  async #list<View>(
    dataset: DatasetId,
    { limit, cursor }: PageQuery,
    tags: boolean,
    toView: (pointer: Pointer) => View,
  ): Promise<Page<View>> {
    const after = cursor === undefined ? '' : decodeCursor(cursor, isName);
    const rows = await this.unitOfWork.read((tx) =>
      this.branches.list(tx, dataset, { tags, after, limit: limit + 1 }),
    );
    return toPage(rows, limit, ({ name }) => name, toView);
  }
}

/** An empty branch has no version, and so no entity tag. */
function answer(res: Response, branch: Pointer): BranchView {
  if (branch.digest !== null) res.setHeader('ETag', etagOf({ digest: branch.digest }));
  return BranchView.of(branch);
}
