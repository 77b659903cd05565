import { Body, Controller, Get, HttpCode, Inject, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { MAX_ID, type DatasetId, type Sha256 } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { IdempotencyKeyHeader } from '../platform/http/idempotency.js';
import { decodeCursor, PageQuery, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { LiftPurgeDto, PurgeDto, PurgeView } from './purges.dto.js';
import { Purges } from './purges.js';

const isId = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;

@ApiTags('purges')
@Controller({ path: 'datasets/:datasetId' })
export class PurgesController {
  constructor(
    private readonly purges: Purges,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Post('purge')
  @OnDataset('admin')
  @HttpCode(200)
  @IdempotencyKeyHeader()
  @ApiOperation({
    operationId: 'purgeContent',
    summary: 'Take a content out of every version',
    description:
      'For good: reading it answers 410 from then on in all versions and drafts of the dataset, archives leave it out and say so, and adding it again is refused. Its paths, sizes and digests stay in listings, so that comparisons, merges and the digests of versions go on as before. Where no other dataset has the content its bytes are collected at once; uploads of it that wait are given up.',
  })
  @ApiOkResponse({ type: PurgeView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async purge(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() { sha256, reason }: PurgeDto,
  ): Promise<PurgeView> {
    const wanted = { sha256: sha256 as Sha256, reason };
    const purge = await this.unitOfWork.run((tx) =>
      this.purges.purge(tx, dataset, principal.userId, wanted),
    );
    return PurgeView.of(purge);
  }

  @Get('purges')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'listPurges',
    summary: 'List what was purged, by whom, when and why; the newest first',
  })
  @ApiOkResponse({ type: pageOf(PurgeView) })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async list(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<PurgeView>> {
    const before = cursor === undefined ? null : decodeCursor(cursor, isId);
    const rows = await this.unitOfWork.read((tx) =>
      this.purges.list(tx, dataset, { before, limit: limit + 1 }),
    );
    return toPage(rows, limit, ({ id }) => id, PurgeView.of);
  }

  @Post('purges/:purgeId/lift')
  @OnDataset('admin')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'liftPurge',
    summary: 'Let a purged content be added again',
    description: 'What was purged does not come back by that.',
  })
  @ApiOkResponse({ type: PurgeView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async lift(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('purgeId') purge: number,
    @Body() { reason }: LiftPurgeDto,
  ): Promise<PurgeView> {
    const lifted = await this.unitOfWork.run((tx) =>
      this.purges.lift(tx, dataset, purge, principal.userId, reason),
    );
    return PurgeView.of(lifted);
  }
}
