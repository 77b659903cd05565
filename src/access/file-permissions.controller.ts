import { Body, Controller, Delete, Get, HttpCode, Put, Query } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FileId, GroupId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnFile } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { PageQuery, decodeCursor, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { GrantsService, type Resource } from './grants.service.js';
import { isIdCursor } from './id-cursor.js';
import { GrantDto, PermissionView } from './permissions.dto.js';
import { WouldLockYouOut } from './problems.js';

const REFUSALS = [InvalidInput, Unauthenticated, Forbidden, NotFound] as const;

/** Who may do what with one file, beside those who may read a dataset that holds it. */
@ApiTags('permissions')
@Controller({ path: 'files/:fileId/permissions' })
export class FilePermissionsController {
  constructor(private readonly grants: GrantsService) {}

  @Get()
  @OnFile('admin')
  @ApiOperation({
    operationId: 'listFilePermissions',
    summary: 'List who may do what with a file',
    description:
      'The grants that you have made; an administrator of the server sees all. Several may have uploaded the same content, and none learns of the others.',
  })
  @ApiOkResponse({ type: pageOf(PermissionView) })
  @Problems(...REFUSALS)
  async list(
    @CurrentPrincipal() principal: Principal,
    @IdParam('fileId') file: FileId,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<PermissionView>> {
    const after = cursor === undefined ? 0 : decodeCursor(cursor, isIdCursor);
    const rows = await this.grants.list(principal, on(file), { after, limit: limit + 1 });
    return toPage(rows, limit, (row) => row.id, PermissionView.of);
  }

  @Put(':userId')
  @OnFile('admin')
  @ApiOperation({
    operationId: 'grantFileToUser',
    summary: 'Say what a user may do with a file',
    description:
      'Instead of what you said before. Takes effect at once. A grant keeps no content: it goes when the content does.',
  })
  @ApiOkResponse({ type: PermissionView })
  @Problems(...REFUSALS, WouldLockYouOut)
  async grantToUser(
    @CurrentPrincipal() principal: Principal,
    @IdParam('fileId') file: FileId,
    @IdParam('userId') id: UserId,
    @Body() { permission }: GrantDto,
  ): Promise<PermissionView> {
    return PermissionView.of(
      await this.grants.grant(principal, on(file), { type: 'user', id }, permission),
    );
  }

  @Delete(':userId')
  @OnFile('admin')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'withdrawFileFromUser',
    summary: "Withdraw a user's grant on a file",
    description: 'What it may do through a group, a dataset or the grant of another stays.',
  })
  @ApiNoContentResponse()
  @Problems(...REFUSALS, WouldLockYouOut)
  withdrawFromUser(
    @CurrentPrincipal() principal: Principal,
    @IdParam('fileId') file: FileId,
    @IdParam('userId') id: UserId,
  ): Promise<void> {
    return this.grants.withdraw(principal, on(file), { type: 'user', id });
  }

  @Put('groups/:groupId')
  @OnFile('admin')
  @ApiOperation({
    operationId: 'grantFileToGroup',
    summary: 'Say what the members of a group may do with a file',
    description:
      'Instead of what you said before. Takes effect at once. A grant keeps no content: it goes when the content does.',
  })
  @ApiOkResponse({ type: PermissionView })
  @Problems(...REFUSALS, WouldLockYouOut)
  async grantToGroup(
    @CurrentPrincipal() principal: Principal,
    @IdParam('fileId') file: FileId,
    @IdParam('groupId') id: GroupId,
    @Body() { permission }: GrantDto,
  ): Promise<PermissionView> {
    return PermissionView.of(
      await this.grants.grant(principal, on(file), { type: 'group', id }, permission),
    );
  }

  @Delete('groups/:groupId')
  @OnFile('admin')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'withdrawFileFromGroup',
    summary: "Withdraw a group's grant on a file",
  })
  @ApiNoContentResponse()
  @Problems(...REFUSALS, WouldLockYouOut)
  withdrawFromGroup(
    @CurrentPrincipal() principal: Principal,
    @IdParam('fileId') file: FileId,
    @IdParam('groupId') id: GroupId,
  ): Promise<void> {
    return this.grants.withdraw(principal, on(file), { type: 'group', id });
  }
}

function on(id: FileId): Resource {
  return { type: 'file', id };
}
