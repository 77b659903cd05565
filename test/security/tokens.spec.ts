import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose';
import { startApp, type TestApp } from '../app.js';
import { AUDIENCE, startOidcProvider, type OidcProvider } from '../builders/oidc-provider.js';
import { send } from './operations.js';

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

describe('a forged token', () => {
  let provider: OidcProvider;
  let app: TestApp;
  let claims: JWTPayload;

  beforeAll(async () => {
    provider = await startOidcProvider();
    app = await startApp({ OIDC_ISSUER: provider.issuer, OIDC_AUDIENCE: AUDIENCE });
    const exp = Math.floor(Date.now() / 1000) + 600;
    claims = { iss: provider.issuer, aud: AUDIENCE, sub: 'admin', exp };
    const good = await send(app, await provider.token(), 'GET', '/api/v1/users/me');
    expect(good.status).toBe(200);
  });
  afterAll(async () => {
    await app.close();
    await provider.close();
  });

  const hmacWith = (secret: string, header: object) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', ...header })
      .sign(new TextEncoder().encode(secret));
  const withKid = async (kid: string) => {
    const { privateKey } = await generateKeyPair('ES256');
    return provider.token({}, { key: privateKey, header: { kid } });
  };
  const published = () => provider.publicKey();

  it.each<[string, () => Promise<string> | string]>([
    ['without a signature', () => `${encode({ alg: 'none' })}.${encode(claims)}.`],
    ['of alg None', () => `${encode({ alg: 'None' })}.${encode(claims)}.x`],
    ['signed with the public key as a secret', () => hmacWith(JSON.stringify(published()), {})],
    ['whose kid is that of a real key', () => withKid(published().kid!)],
    ['whose kid is a path', () => withKid('../../../../dev/null')],
    ['whose kid is SQL', () => withKid("' UNION SELECT 'key' --")],
    ['whose kid is of a prototype', () => withKid('__proto__')],
    [
      'that brings its own key',
      async () => {
        const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
        const jwk = await exportJWK(publicKey);
        return provider.token({}, { key: privateKey, header: { jwk } });
      },
    ],
    [
      'that names where its key is',
      async () => {
        const { privateKey } = await generateKeyPair('ES256');
        return provider.token({}, { key: privateKey, header: { jku: `${provider.issuer}/keys` } });
      },
    ],
    ['that has expired', () => provider.token({ exp: 1 })],
    [
      'with a critical header that nobody knows',
      () => `${encode({ alg: 'ES256', crit: ['b64'], b64: false })}.${encode(claims)}.x`,
    ],
    [
      'whose claims were changed',
      async () => {
        const [header, , signature] = (await provider.token()).split('.');
        return `${header}.${encode(claims)}.${signature}`;
      },
    ],
    ['whose signature was cut', async () => (await provider.token()).slice(0, -8)],
    ['that is no JSON', () => `${encode('{')}.${encode('{')}.x`],
    ['that is huge', () => `${'a'.repeat(6000)}.${'b'.repeat(6000)}.c`],
    ['of three dots', () => '...'],
    ['of a session that never was', () => `varve_session_${'a'.repeat(43)}`],
  ])('%s is refused, like any other', async (_, forge) => {
    const { status, body } = await send(app, await forge(), 'GET', '/api/v1/users/me');
    expect(status).toBe(401);
    expect(JSON.parse(body)).toMatchObject({ type: 'urn:varve:problem:unauthenticated' });
  });

  it.each(['Basic YWRtaW46YWRtaW4=', 'Bearer', 'Bearer a b', 'bearer\tx', 'Digest x'])(
    'is not taken from the header %j',
    async (authorization) => {
      const answer = await fetch(`${app.url}/api/v1/users/me`, {
        headers: { Authorization: authorization },
      });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    },
  );
});
