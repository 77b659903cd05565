import { Inject, Injectable, Logger } from '@nestjs/common';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Principal } from '../../core/principal.js';
import { Unavailable } from '../../core/problems.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { ExternalUsers } from './external-users.js';

/** What can be verified with a public key alone: no shared secret, and never `none`. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const TIMEOUT_MS = 5_000;
/** How often at the most the keys are fetched anew because a token names one that is not there. */
const REFETCH_MS = 5_000;
const RETRY_AFTER_SECONDS = 5;
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Anything longer is no token that a provider issues, and costs time to look at. */
const LONGEST_TOKEN = 16_384;

type OidcConfig = Pick<
  Config,
  | 'OIDC_ISSUER'
  | 'OIDC_AUDIENCE'
  | 'OIDC_JWKS_URL'
  | 'OIDC_CLOCK_TOLERANCE'
  | 'OIDC_NAME_CLAIM'
  | 'OIDC_ROLE_CLAIM'
  | 'OIDC_ADMIN_ROLE'
>;

/** Verifies JWTs of the configured OpenID provider (OpenID Connect Core, RFC 7519, RFC 8725). */
@Injectable()
export class OidcTokens {
  private readonly logger = new Logger(OidcTokens.name);
  private keys: Promise<JWTVerifyGetKey> | null = null;

  constructor(
    @Inject(CONFIG) private readonly config: OidcConfig,
    private readonly users: ExternalUsers,
  ) {}

  /** Whether a provider is configured and the secret has the form of a token. */
  mayBeOne(secret: string): boolean {
    return (
      this.config.OIDC_ISSUER !== undefined && secret.length <= LONGEST_TOKEN && JWT.test(secret)
    );
  }

  /**
   * Whoever the token is of; null for one that is not valid, or of a user who is disabled.
   * @throws Unavailable where the provider's keys cannot be had
   */
  async find(token: string): Promise<Principal | null> {
    const payload = await this.verified(token);
    if (!payload?.sub || !payload.iss || payload.exp === undefined) return null;
    const user = await this.users.find({
      issuer: payload.iss,
      subject: payload.sub,
      name: this.nameIn(payload),
      role: this.roleIn(payload),
    });
    return user && { ...user, keyId: null, expiresAtMs: payload.exp * 1000 };
  }

  private async verified(token: string): Promise<JWTPayload | null> {
    const { OIDC_ISSUER, OIDC_AUDIENCE, OIDC_CLOCK_TOLERANCE } = this.config;
    try {
      const { payload } = await jwtVerify(token, await this.keySet(), {
        issuer: OIDC_ISSUER!,
        audience: OIDC_AUDIENCE!,
        algorithms: ALGORITHMS,
        clockTolerance: OIDC_CLOCK_TOLERANCE / 1000,
        requiredClaims: ['exp', 'sub'],
      });
      return payload;
    } catch (error) {
      if (isRejection(error)) return null;
      this.logger.warn({ err: error }, 'The keys of the OpenID provider cannot be had');
      throw new Unavailable(
        'The OpenID provider cannot be reached at the moment. Try again shortly.',
        RETRY_AFTER_SECONDS,
      );
    }
  }

  /** Fetched when first needed, and again, not too often, for a key that is not among them. */
  private keySet(): Promise<JWTVerifyGetKey> {
    this.keys ??= this.locateKeys().catch((error: unknown) => {
      this.keys = null;
      throw error;
    });
    return this.keys;
  }

  private async locateKeys(): Promise<JWTVerifyGetKey> {
    const url = this.config.OIDC_JWKS_URL ?? (await discover(this.config.OIDC_ISSUER!));
    return createRemoteJWKSet(new URL(url), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: REFETCH_MS,
    });
  }

  private nameIn(payload: JWTPayload): string {
    const name = payload[this.config.OIDC_NAME_CLAIM];
    return typeof name === 'string' ? name : String(payload.sub);
  }

  /** Null where roles are none of the provider's business. */
  private roleIn(payload: JWTPayload): 'admin' | 'member' | null {
    const { OIDC_ADMIN_ROLE, OIDC_ROLE_CLAIM } = this.config;
    if (OIDC_ADMIN_ROLE === undefined) return null;
    const roles = memberAt(payload, OIDC_ROLE_CLAIM);
    const all: unknown[] = Array.isArray(roles) ? roles : [roles];
    return all.includes(OIDC_ADMIN_ROLE) ? 'admin' : 'member';
  }
}

/** Whether it is the token that is wrong, rather than the keys that are missing. */
function isRejection(error: unknown): boolean {
  return (
    error instanceof errors.JOSEError &&
    !(error instanceof errors.JWKSTimeout) &&
    !(error instanceof errors.JWKSInvalid) &&
    error.code !== 'ERR_JOSE_GENERIC'
  );
}

/** Where the provider says that its keys are (OpenID Connect Discovery, section 4). */
async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  const document = (await answer.json()) as { issuer?: unknown; jwks_uri?: unknown };
  if (document.issuer !== issuer) throw new Error(`${url} is of another issuer`);
  if (typeof document.jwks_uri !== 'string') throw new Error(`${url} names no jwks_uri`);
  return document.jwks_uri;
}

/** A member by its dotted path, such as `realm_access.roles`; only own members count. */
function memberAt(payload: JWTPayload, path: string): unknown {
  let value: unknown = payload;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name))
      return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
