import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ACCESS_POLICY } from '../core/contracts/access-policy.js';
import { AUDIT_TRAIL } from '../core/contracts/audit-trail.js';
import { AUTHENTICATOR } from '../core/contracts/authenticator.js';
import { CREDENTIAL_WATCH } from '../core/contracts/credential-watch.js';
import { bind } from '../core/token.js';
import { AccessGuard } from './access.guard.js';
import { AdminBootstrap } from './admin-bootstrap.js';
import { ApiKeyEntity } from './api-key.entity.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysService } from './api-keys.service.js';
import { AuditChain } from './audit/audit-chain.js';
import { AuditLog } from './audit/audit-log.js';
import { SqlAuditTrail } from './audit/audit-trail.js';
import { AuditController } from './audit/audit.controller.js';
import { Authenticator } from './authenticator.js';
import { CredentialWatcher } from './credential-watcher.js';
import { FilePermissions } from './file-permissions.js';
import { GroupsController } from './groups.controller.js';
import { GroupsService } from './groups.service.js';
import { KeyLookup } from './key-lookup.js';
import { RateLimiter } from './limits/rate-limiter.js';
import { LoginController } from './login/login.controller.js';
import { PasswordHashes } from './login/password-hashes.js';
import { PasswordsService } from './login/passwords.service.js';
import { SessionLookup } from './login/session-lookup.js';
import { Sessions } from './login/sessions.js';
import { ExternalUsers } from './oidc/external-users.js';
import { OidcTokens } from './oidc/oidc-tokens.js';
import { SqlAccessPolicy } from './sql-access-policy.js';
import { UserEntity } from './user.entity.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';

/** Who may come in, and what they may do. Its guard closes every operation by default. */
@Global()
@Module({
  imports: [TypeOrmModule.forFeature([UserEntity, ApiKeyEntity])],
  controllers: [
    // Before users: `users/me/password` is no user's id.
    LoginController,
    UsersController,
    ApiKeysController,
    GroupsController,
    AuditController,
  ],
  providers: [
    AdminBootstrap,
    ApiKeysService,
    AuditChain,
    AuditLog,
    SqlAuditTrail,
    Authenticator,
    CredentialWatcher,
    ExternalUsers,
    KeyLookup,
    OidcTokens,
    PasswordHashes,
    PasswordsService,
    RateLimiter,
    SessionLookup,
    Sessions,
    FilePermissions,
    GroupsService,
    SqlAccessPolicy,
    UsersService,
    bind(ACCESS_POLICY, SqlAccessPolicy),
    bind(AUDIT_TRAIL, SqlAuditTrail),
    bind(AUTHENTICATOR, Authenticator),
    bind(CREDENTIAL_WATCH, CredentialWatcher),
    { provide: APP_GUARD, useClass: AccessGuard },
  ],
  exports: [
    ACCESS_POLICY,
    AUDIT_TRAIL,
    AUTHENTICATOR,
    CREDENTIAL_WATCH,
    AdminBootstrap,
    SqlAccessPolicy,
  ],
})
export class AccessModule {}
