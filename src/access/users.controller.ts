import { Body, Controller, Get, Patch, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { AdminOnly, SignedIn } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { PageQuery, decodeCursor, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { isIdCursor } from './id-cursor.js';
import { LastAdministrator, UserNameTaken } from './problems.js';
import { ChangeUserDto, CreateUserDto, UserView } from './users.dto.js';
import { UsersService } from './users.service.js';

@ApiTags('users')
@Controller({ path: 'users' })
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Post()
  @AdminOnly()
  @ApiOperation({ operationId: 'createUser', summary: 'Make a user' })
  @ApiCreatedResponse({ type: UserView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, UserNameTaken)
  async create(@Body() body: CreateUserDto): Promise<UserView> {
    return UserView.of(await this.users.create(body.name, body.role));
  }

  @Get()
  @AdminOnly()
  @ApiOperation({ operationId: 'listUsers', summary: 'List users' })
  @ApiOkResponse({ type: pageOf(UserView) })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async list(@Query() page: PageQuery): Promise<Page<UserView>> {
    const after = page.cursor === undefined ? 0 : decodeCursor(page.cursor, isIdCursor);
    const users = await this.users.list(after, page.limit + 1);
    return toPage(users, page.limit, (user) => user.id, UserView.of);
  }

  @Get('me')
  @SignedIn()
  @ApiOperation({ operationId: 'getMe', summary: 'Get the user that I am' })
  @ApiOkResponse({ type: UserView })
  @Problems(Unauthenticated)
  async me(@CurrentPrincipal() principal: Principal): Promise<UserView> {
    return UserView.of(await this.users.get(principal.userId));
  }

  @Get(':userId')
  @AdminOnly()
  @ApiOperation({ operationId: 'getUser', summary: 'Get a user' })
  @ApiOkResponse({ type: UserView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async get(@IdParam('userId') id: UserId): Promise<UserView> {
    return UserView.of(await this.users.get(id));
  }

  @Patch(':userId')
  @AdminOnly()
  @ApiOperation({
    operationId: 'changeUser',
    summary: 'Change a user',
    description:
      'Takes effect within a second. The last administrator who is not disabled stays one.',
  })
  @ApiOkResponse({ type: UserView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, LastAdministrator)
  async change(@IdParam('userId') id: UserId, @Body() body: ChangeUserDto): Promise<UserView> {
    return UserView.of(await this.users.change(id, body));
  }
}
