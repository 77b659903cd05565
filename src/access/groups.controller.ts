import { Body, Controller, Delete, Get, HttpCode, Patch, Post, Put, Query } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { GroupId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { AdminOnly, SignedIn } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { PageQuery, decodeCursor, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { GroupDto, GroupMemberView, GroupView } from './groups.dto.js';
import { GroupsService } from './groups.service.js';
import { isIdCursor } from './id-cursor.js';
import { GroupNameTaken } from './problems.js';

@ApiTags('groups')
@Controller({ path: 'groups' })
export class GroupsController {
  constructor(private readonly groups: GroupsService) {}

  @Post()
  @AdminOnly()
  @ApiOperation({ operationId: 'createGroup', summary: 'Make a group' })
  @ApiCreatedResponse({ type: GroupView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, GroupNameTaken)
  async create(@Body() { name }: GroupDto): Promise<GroupView> {
    return GroupView.of(await this.groups.create(name));
  }

  @Get()
  @SignedIn()
  @ApiOperation({
    operationId: 'listGroups',
    summary: 'List groups',
    description: 'Those that you are in; every group to an administrator.',
  })
  @ApiOkResponse({ type: pageOf(GroupView) })
  @Problems(InvalidInput, Unauthenticated)
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<GroupView>> {
    const rows = await this.groups.list(principal, { after: startOf(cursor), limit: limit + 1 });
    return toPage(rows, limit, (group) => group.id, GroupView.of);
  }

  @Patch(':groupId')
  @AdminOnly()
  @ApiOperation({ operationId: 'renameGroup', summary: 'Rename a group' })
  @ApiOkResponse({ type: GroupView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, GroupNameTaken)
  async rename(@IdParam('groupId') id: GroupId, @Body() { name }: GroupDto): Promise<GroupView> {
    return GroupView.of(await this.groups.rename(id, name));
  }

  @Delete(':groupId')
  @AdminOnly()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteGroup',
    summary: 'Delete a group',
    description: 'What was granted to it ends with it, at once.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  remove(@IdParam('groupId') id: GroupId): Promise<void> {
    return this.groups.remove(id);
  }

  @Get(':groupId/members')
  @AdminOnly()
  @ApiOperation({ operationId: 'listGroupMembers', summary: "List a group's members" })
  @ApiOkResponse({ type: pageOf(GroupMemberView) })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async members(
    @IdParam('groupId') id: GroupId,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<GroupMemberView>> {
    const rows = await this.groups.members(id, { after: startOf(cursor), limit: limit + 1 });
    return toPage(rows, limit, (member) => member.userId, GroupMemberView.of);
  }

  @Put(':groupId/members/:userId')
  @AdminOnly()
  @HttpCode(204)
  @ApiOperation({ operationId: 'addGroupMember', summary: 'Put a user into a group' })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  add(@IdParam('groupId') id: GroupId, @IdParam('userId') user: UserId): Promise<void> {
    return this.groups.add(id, user);
  }

  @Delete(':groupId/members/:userId')
  @AdminOnly()
  @HttpCode(204)
  @ApiOperation({ operationId: 'removeGroupMember', summary: 'Take a user out of a group' })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  removeMember(@IdParam('groupId') id: GroupId, @IdParam('userId') user: UserId): Promise<void> {
    return this.groups.removeMember(id, user);
  }
}

function startOf(cursor: string | undefined): number {
  return cursor === undefined ? 0 : decodeCursor(cursor, isIdCursor);
}
