import { Authenticator } from '../../src/access/authenticator.js';
import { KeyLookup } from '../../src/access/key-lookup.js';
import { SessionLookup } from '../../src/access/login/session-lookup.js';
import { ExternalUsers } from '../../src/access/oidc/external-users.js';
import { OidcTokens } from '../../src/access/oidc/oidc-tokens.js';
import type { UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import { readConfig } from '../../src/platform/config/config.js';

/** An authenticator as a server without an OpenID provider has it. */
export function authenticatorOn(unitOfWork: UnitOfWork): Authenticator {
  return new Authenticator(
    new KeyLookup(unitOfWork),
    new SessionLookup(unitOfWork),
    new OidcTokens(readConfig({}), new ExternalUsers(unitOfWork)),
    unitOfWork,
  );
}
