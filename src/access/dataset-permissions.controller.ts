import { Body, Controller, Delete, Get, HttpCode, Put, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { DatasetId, GroupId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { PageQuery, decodeCursor, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { GrantsService, type Resource } from './grants.service.js';
import { isIdCursor } from './id-cursor.js';
import { GrantDto, GrantEveryoneDto, PermissionView } from './permissions.dto.js';
import { LastDatasetAdministrator, OwnerAdministers } from './problems.js';

const REFUSALS = [InvalidInput, Unauthenticated, Forbidden, NotFound] as const;

/** Who may do what with a dataset. */
@ApiTags('permissions')
@Controller({ path: 'datasets/:datasetId/permissions' })
export class DatasetPermissionsController {
  constructor(private readonly grants: GrantsService) {}

  @Get()
  @OnDataset('admin')
  @ApiOperation({
    operationId: 'listDatasetPermissions',
    summary: 'List who may do what with a dataset',
    description: 'Its owner administers it without a grant and is not listed.',
  })
  @ApiOkResponse({ type: pageOf(PermissionView) })
  @Problems(...REFUSALS)
  async list(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<PermissionView>> {
    const after = cursor === undefined ? 0 : decodeCursor(cursor, isIdCursor);
    const rows = await this.grants.list(principal, on(dataset), { after, limit: limit + 1 });
    return toPage(rows, limit, (row) => row.id, PermissionView.of);
  }

  @Put('everyone')
  @OnDataset('admin')
  @ApiOperation({
    operationId: 'shareDatasetWithEveryone',
    summary: 'Let everybody who is signed in read a dataset',
  })
  @ApiOkResponse({ type: PermissionView })
  @Problems(...REFUSALS)
  async shareWithEveryone(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() { permission }: GrantEveryoneDto,
  ): Promise<PermissionView> {
    return PermissionView.of(
      await this.grants.grant(principal, on(dataset), { type: 'everyone' }, permission),
    );
  }

  @Delete('everyone')
  @OnDataset('admin')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'unshareDatasetWithEveryone',
    summary: 'Let only those read a dataset who have a grant',
  })
  @ApiNoContentResponse()
  @Problems(...REFUSALS)
  unshareWithEveryone(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
  ): Promise<void> {
    return this.grants.withdraw(principal, on(dataset), { type: 'everyone' });
  }

  @Put(':userId')
  @OnDataset('admin')
  @ApiOperation({
    operationId: 'grantDatasetToUser',
    summary: 'Say what a user may do with a dataset',
    description: 'Instead of what was said before. Takes effect at once.',
  })
  @ApiOkResponse({ type: PermissionView })
  @Problems(...REFUSALS, OwnerAdministers, LastDatasetAdministrator)
  async grantToUser(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('userId') id: UserId,
    @Body() { permission }: GrantDto,
  ): Promise<PermissionView> {
    return PermissionView.of(
      await this.grants.grant(principal, on(dataset), { type: 'user', id }, permission),
    );
  }

  @Delete(':userId')
  @OnDataset('admin')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'withdrawDatasetFromUser',
    summary: "Withdraw a user's grant on a dataset",
    description: 'What it may do through a group or as one of everybody stays.',
  })
  @ApiNoContentResponse()
  @Problems(...REFUSALS, OwnerAdministers, LastDatasetAdministrator)
  withdrawFromUser(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('userId') id: UserId,
  ): Promise<void> {
    return this.grants.withdraw(principal, on(dataset), { type: 'user', id });
  }

  @Put('groups/:groupId')
  @OnDataset('admin')
  @ApiOperation({
    operationId: 'grantDatasetToGroup',
    summary: 'Say what the members of a group may do with a dataset',
    description: 'Instead of what was said before. Takes effect at once.',
  })
  @ApiOkResponse({ type: PermissionView })
  @Problems(...REFUSALS, LastDatasetAdministrator)
  async grantToGroup(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('groupId') id: GroupId,
    @Body() { permission }: GrantDto,
  ): Promise<PermissionView> {
    return PermissionView.of(
      await this.grants.grant(principal, on(dataset), { type: 'group', id }, permission),
    );
  }

  @Delete('groups/:groupId')
  @OnDataset('admin')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'withdrawDatasetFromGroup',
    summary: "Withdraw a group's grant on a dataset",
  })
  @ApiNoContentResponse()
  @Problems(...REFUSALS, LastDatasetAdministrator)
  withdrawFromGroup(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @IdParam('groupId') id: GroupId,
  ): Promise<void> {
    return this.grants.withdraw(principal, on(dataset), { type: 'group', id });
  }
}

function on(id: DatasetId): Resource {
  return { type: 'dataset', id };
}
