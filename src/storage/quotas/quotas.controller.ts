import { Body, Controller, Delete, Get, Put } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { DatasetId, UserId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../core/problems.js';
import { AdminOnly, OnDataset, SignedIn } from '../../platform/http/access.decorators.js';
import { IdParam } from '../../platform/http/id-param.decorator.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { QuotaView, SetQuotaDto } from './quotas.dto.js';
import { QuotasService } from './quotas.service.js';

const OF_A_USER =
  'Counted are the contents of the user’s uploads and of the datasets that it owns, each once; deleted datasets until they are forgotten.';
const OF_A_DATASET =
  'Counted are the contents of all its versions and drafts, each once however often it stands there.';

/** How many different bytes users and datasets may hold, and do. */
@ApiTags('quotas')
@Controller()
export class QuotasController {
  constructor(private readonly quotas: QuotasService) {}

  @Get('users/me/quota')
  @SignedIn()
  @ApiOperation({
    operationId: 'getMyQuota',
    summary: 'How many bytes I may hold, and do',
    description: OF_A_USER,
  })
  @ApiOkResponse({ type: QuotaView })
  @Problems(Unauthenticated)
  mine(@CurrentPrincipal() { userId }: Principal): Promise<QuotaView> {
    return this.quotas.get({ type: 'user', id: userId });
  }

  @Get('users/:userId/quota')
  @AdminOnly()
  @ApiOperation({
    operationId: 'getUserQuota',
    summary: 'How many bytes a user may hold, and does',
    description: OF_A_USER,
  })
  @ApiOkResponse({ type: QuotaView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  ofUser(@IdParam('userId') id: UserId): Promise<QuotaView> {
    return this.quotas.get({ type: 'user', id });
  }

  @Put('users/:userId/quota')
  @AdminOnly()
  @ApiOperation({ operationId: 'setUserQuota', summary: 'Set how many bytes a user may hold' })
  @ApiOkResponse({ type: QuotaView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  setForUser(@IdParam('userId') id: UserId, @Body() body: SetQuotaDto): Promise<QuotaView> {
    return this.quotas.set({ type: 'user', id }, body.limitBytes);
  }

  @Delete('users/:userId/quota')
  @AdminOnly()
  @ApiOperation({
    operationId: 'resetUserQuota',
    summary: 'Let the server’s default hold for a user',
  })
  @ApiOkResponse({ type: QuotaView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  resetForUser(@IdParam('userId') id: UserId): Promise<QuotaView> {
    return this.quotas.set({ type: 'user', id }, null);
  }

  @Get('datasets/:datasetId/quota')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'getDatasetQuota',
    summary: 'How many bytes a dataset may hold, and does',
    description: OF_A_DATASET,
  })
  @ApiOkResponse({ type: QuotaView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  ofDataset(@IdParam('datasetId') id: DatasetId): Promise<QuotaView> {
    return this.quotas.get({ type: 'dataset', id });
  }

  @Put('datasets/:datasetId/quota')
  @AdminOnly()
  @ApiOperation({
    operationId: 'setDatasetQuota',
    summary: 'Set how many bytes a dataset may hold',
  })
  @ApiOkResponse({ type: QuotaView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  setForDataset(
    @IdParam('datasetId') id: DatasetId,
    @Body() body: SetQuotaDto,
  ): Promise<QuotaView> {
    return this.quotas.set({ type: 'dataset', id }, body.limitBytes);
  }

  @Delete('datasets/:datasetId/quota')
  @AdminOnly()
  @ApiOperation({
    operationId: 'resetDatasetQuota',
    summary: 'Let the server’s default hold for a dataset',
  })
  @ApiOkResponse({ type: QuotaView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  resetForDataset(@IdParam('datasetId') id: DatasetId): Promise<QuotaView> {
    return this.quotas.set({ type: 'dataset', id }, null);
  }
}
