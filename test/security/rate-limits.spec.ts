import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp, type TestApp, type TestUser } from '../app.js';

describe('a rate limit', () => {
  let app: TestApp;
  let ada: TestUser;

  beforeAll(async () => {
    app = await startApp({
      RATE_LIMIT_CREDENTIAL: '30',
      RATE_LIMIT_ADDRESS: '5',
      TRUSTED_PROXIES: 'loopback, 192.0.2.0/24',
    });
    ada = await app.user('ada');
  });
  afterAll(() => app.close());

  const from = (address: string, token = 'a-guess', path = '/users/me') =>
    fetch(`${app.url}/api/v1${path}`, {
      headers: { Authorization: `Bearer ${token}`, 'X-Forwarded-For': address },
    });

  /** Sends until it is refused, which a new minute may put off, but not for ever. */
  const untilRefused = async (call: (n: number) => Promise<Response>): Promise<Response> => {
    for (let n = 0; n < 1000; n++) {
      const answer = await call(n);
      if (answer.status === 429) return answer;
    }
    throw new Error('nobody is refused');
  };

  it('ends the guessing of one address, and of nobody else', async () => {
    expect((await from('198.51.100.1')).status).toBe(401);
    await untilRefused(() => from('198.51.100.1'));
    expect((await from('198.51.100.2')).status).toBe(401);
    expect((await from('198.51.100.1', ada.token)).status).toBe(200);
  });

  it('believes proxies it trusts for the addresses that they saw, and nobody beyond them', async () => {
    // The client wrote the first, which is another each time; the trusted proxies wrote the others.
    await untilRefused((n) => from(`203.0.113.${n % 250}, 198.51.100.7, 192.0.2.9`));
  });

  it('says how much is left, and when to come back', async () => {
    const first = await from('198.51.100.3', ada.token);
    expect(first.headers.get('ratelimit-policy')).toBe('"credential";q=30;w=60');
    expect(first.headers.get('ratelimit')).toMatch(/^"credential";r=\d+;t=\d+$/);
    const refused = await untilRefused(() => from('198.51.100.3', ada.token));
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await refused.json()).toMatchObject({
      type: 'urn:varve:problem:rate-limited',
      status: 429,
    });
  });

  it('does not keep probes from asking', async () => {
    const probes = await Promise.all(
      Array.from({ length: 40 }, () => fetch(`${app.url}/health/live`)),
    );
    expect(probes.map(({ status }) => status)).not.toContain(429);
  });
});
