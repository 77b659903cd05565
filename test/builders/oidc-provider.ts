import {
  exportJWK,
  generateKeyPair,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from 'jose';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An OpenID provider as far as Varve sees one: discovery, keys, and tokens that it signs. */
export interface OidcProvider {
  readonly issuer: string;
  /** A token with these claims, `sub`, `exp` and the rest set as they should be unless told. */
  token(claims?: JWTPayload, options?: { key?: CryptoKey; header?: object }): Promise<string>;
  /** Signs with a new key from now on; the old one stays published unless told. */
  rotate(options?: { dropOld?: boolean }): Promise<void>;
  /** The published key, as a relying party sees it. */
  publicKey(): JWK;
  close(): Promise<void>;
}

export const AUDIENCE = 'varve';

/** Starts a provider on a free port. */
export async function startOidcProvider(): Promise<OidcProvider> {
  const published: JWK[] = [];
  let signing: { key: CryptoKey; kid: string };
  const addKey = async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const kid = `key-${published.length + 1}-${Date.now()}`;
    published.push({ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' });
    signing = { key: privateKey, kid };
  };
  await addKey();
  const server = createServer((req, res) => {
    res.setHeader('Content-Type', 'application/json');
    if (req.url === '/.well-known/openid-configuration') {
      res.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
    } else if (req.url === '/keys') {
      res.end(JSON.stringify({ keys: published }));
    } else {
      res.statusCode = 404;
      res.end('{}');
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    token(claims = {}, { key = signing.key, header = {} } = {}) {
      const now = Math.floor(Date.now() / 1000);
      return new SignJWT({ iss: issuer, aud: AUDIENCE, sub: 'somebody', exp: now + 600, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: signing.kid, ...header })
        .sign(key);
    },
    async rotate({ dropOld = false } = {}) {
      if (dropOld) published.length = 0;
      await addKey();
    },
    publicKey: () => published.at(-1)!,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
