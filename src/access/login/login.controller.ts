import { Body, Controller, Delete, Header, HttpCode, Inject, Post, Put } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { UserId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../core/problems.js';
import { AdminOnly, Public, SignedIn } from '../../platform/http/access.decorators.js';
import { IdParam } from '../../platform/http/id-param.decorator.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { LoginRefused, RefreshRefused } from '../problems.js';
import {
  ChangePasswordDto,
  LoginDto,
  PasswordDto,
  RefreshDto,
  TokenPairView,
} from './login.dto.js';
import { PasswordsService } from './passwords.service.js';
import { Sessions } from './sessions.js';

@ApiTags('login')
@Controller()
export class LoginController {
  constructor(
    private readonly passwords: PasswordsService,
    private readonly sessions: Sessions,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Post('auth/login')
  @Public()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'signIn',
    summary: 'Sign in with a name and a password',
    description:
      'Too many failures lock the name for a while; a locked name, an unknown one and a wrong password are answered alike.',
  })
  @ApiOkResponse({ type: TokenPairView })
  @Problems(InvalidInput, LoginRefused)
  async signIn(@Body() { name, password }: LoginDto): Promise<TokenPairView> {
    return TokenPairView.of(await this.passwords.signIn(name, password));
  }

  @Post('auth/refresh')
  @Public()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOperation({
    operationId: 'refreshSession',
    summary: 'Get the next pair of tokens',
    description: 'The pair before ends. A refresh token that comes again ends the session.',
  })
  @ApiOkResponse({ type: TokenPairView })
  @Problems(InvalidInput, RefreshRefused)
  async refresh(@Body() { refreshToken }: RefreshDto): Promise<TokenPairView> {
    return TokenPairView.of(await this.sessions.refresh(refreshToken));
  }

  @Post('auth/logout')
  @SignedIn({ scope: 'read' })
  @HttpCode(204)
  @ApiOperation({
    operationId: 'signOut',
    summary: 'End the session that I am signed in with',
    description: 'Changes nothing for a caller with an API key or a token of the OpenID provider.',
  })
  @ApiNoContentResponse()
  @Problems(Unauthenticated)
  async signOut(@CurrentPrincipal() { sessionId }: Principal): Promise<void> {
    if (sessionId === undefined) return;
    await this.unitOfWork.run((tx) => this.sessions.end(tx, [sessionId], 'logout'));
  }

  @Put('users/me/password')
  @SignedIn({ scope: 'admin' })
  @HttpCode(204)
  @ApiOperation({
    operationId: 'changeMyPassword',
    summary: 'Change my password',
    description: 'Ends all of your sessions.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  change(
    @CurrentPrincipal() principal: Principal,
    @Body() { currentPassword, password }: ChangePasswordDto,
  ): Promise<void> {
    return this.passwords.change(principal, currentPassword, password);
  }

  @Put('users/:userId/password')
  @AdminOnly()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'setPassword',
    summary: 'Give a user a password',
    description: 'Ends all of its sessions.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  set(@IdParam('userId') user: UserId, @Body() { password }: PasswordDto): Promise<void> {
    return this.passwords.set(user, password);
  }

  @Delete('users/:userId/password')
  @AdminOnly()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removePassword',
    summary: "Take a user's password away",
    description: 'It can then sign in with no password. Ends all of its sessions.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  remove(@IdParam('userId') user: UserId): Promise<void> {
    return this.passwords.remove(user);
  }
}
