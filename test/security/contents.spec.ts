import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { send } from './operations.js';

const NASTY_NAMES = [
  'a\r\nX-Injected: 1.txt',
  'a"; filename="evil.html',
  '../../../etc/passwd',
  '"><script>alert(1)</script>.html',
  'a\u202egnp.exe',
  '..\\..\\x',
  'CON',
  '='.repeat(200),
];

describe('hostile contents', () => {
  let app: TestApp;
  let ada: TestUser;

  beforeAll(async () => {
    app = await startApp();
    ada = await app.user('ada');
  });
  afterAll(() => app.close());

  const upload = async (text: string, name: string, type: string): Promise<number | null> => {
    const answer = await fetch(`${app.url}/api/v1/files?name=${encodeURIComponent(name)}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ada.token}`, 'Content-Type': type },
      body: text,
    });
    expect(answer.status).toBeLessThan(500);
    return answer.ok ? ((await answer.json()) as { id: number }).id : null;
  };
  const download = (fileId: number, headers: Record<string, string> = {}) =>
    fetch(`${app.url}/api/v1/files/${fileId}/content`, {
      headers: { Authorization: `Bearer ${ada.token}`, ...headers },
    });

  it.each([
    [
      'an SVG image',
      '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
      'image/svg+xml',
    ],
    ['a page', '<script>alert(1)</script>', 'text/html'],
    ['a page that says it is a picture', '<script>alert(1)</script>', 'image/png'],
    ['XHTML', '<html xmlns="http://www.w3.org/1999/xhtml"/>', 'application/xhtml+xml'],
    ['a script', 'alert(1)', 'text/javascript'],
  ])('never run here: %s', async (_, text, type) => {
    const fileId = await upload(text, 'x', type);
    const answer = await download(fileId!);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment/);
    expect(answer.headers.get('content-security-policy')).toMatch(/sandbox|default-src 'none'/);
    expect(await answer.text()).toBe(text);
  });

  it.each(NASTY_NAMES)('put nothing into a header through the name %j', async (name) => {
    const fileId = await upload(randomUUID(), name, 'text/plain');
    if (fileId === null) return;
    const answer = await download(fileId);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-injected')).toBeNull();
    const disposition = answer.headers.get('content-disposition') ?? '';
    expect(disposition).toMatch(/^attachment/);
    expect(disposition).not.toMatch(/[\r\n]/);
    expect(disposition.replaceAll(/\\./g, '').match(/"/g)?.length ?? 0).toBeLessThanOrEqual(2);
  });

  it.each([
    'bytes=0-0,1-1,2-2,'.repeat(200),
    'bytes=99999999999999999999-',
    'bytes=-0',
    'bytes=5-1',
    'bytes=abc',
    'items=0-1',
    'bytes=0-,'.repeat(500),
  ])('give no more than they have to the range %s', async (range) => {
    const fileId = await upload('0123456789', 'r.txt', 'text/plain');
    const answer = await download(fileId!, { Range: range.slice(0, 4000) });
    expect([200, 206, 416]).toContain(answer.status);
    expect((await answer.text()).length).toBeLessThan(2000);
  });

  it('show no secret in answers, and take none from the query', async () => {
    const { data } = await ada.api.POST('/api/v1/api-keys', { body: { name: 'k' } });
    const inQuery = await send(app, null, 'GET', `/api/v1/users/me?token=${data!.key}`);
    expect(inQuery.status).toBe(401);
    for (const path of ['/users/me', '/api-keys', '/datasets', '/groups']) {
      const { body } = await send(app, ada.token, 'GET', `/api/v1${path}`);
      expect(body).not.toContain(data!.key);
      expect(body).not.toMatch(/secret_?hash|password/i);
    }
  });

  it('are not taken as another method, host or length', async () => {
    const overridden = await fetch(`${app.url}/api/v1/users/me`, {
      headers: { Authorization: `Bearer ${ada.token}`, 'X-HTTP-Method-Override': 'DELETE' },
    });
    expect(overridden.status).toBe(200);
    // Two lengths are how requests are smuggled past a proxy.
    const status = await new Promise<number>((resolve, reject) => {
      const req = request(`${app.url}/api/v1/datasets`, {
        method: 'POST',
        headers: { 'Transfer-Encoding': 'chunked', 'Content-Length': '4' },
      });
      req.on('response', (res) => resolve(res.resume().statusCode ?? 0));
      req.on('error', (error: NodeJS.ErrnoException) =>
        error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(400) : reject(error),
      );
      req.end('{}');
    });
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
  });
});

describe('mass assignment', () => {
  let app: TestApp;
  let ada: TestUser;

  beforeAll(async () => {
    app = await startApp();
    ada = await app.user('ada');
  });
  afterAll(() => app.close());

  it.each([
    ['POST', '/datasets', { name: 'x', createdBy: 1 }],
    ['POST', '/datasets', { name: 'x', ownerId: 1 }],
    ['POST', '/datasets', { name: 'x', id: 1 }],
    ['POST', '/datasets', { name: 'x', deletedAt: null }],
    ['POST', '/api-keys', { name: 'x', role: 'admin' }],
    ['POST', '/api-keys', { name: 'x', isBootstrap: true }],
  ])('%s %s refuses %j', async (method, path, body) => {
    const { status } = await send(app, ada.token, method, `/api/v1${path}`, body);
    expect(status).toBe(400);
  });

  it.each([
    ['POST', '/datasets', '{"name":"x","constructor":1}', 'constructor'],
    [
      'POST',
      '/datasets',
      '{"name":"x","constructor":{"prototype":{"role":"admin"}}}',
      'constructor',
    ],
    ['POST', '/datasets', '{"name":"x","__proto__":{"role":"admin"}}', '__proto__'],
    [
      'POST',
      '/api-keys',
      '{"name":"x","constructor":{"prototype":{"role":"admin"}}}',
      'constructor',
    ],
    ['POST', '/api-keys', '{"name":"x","prototype":{"role":"admin"}}', 'prototype'],
  ])('%s %s refuses %s, and is none the richer', async (method, path, text, name) => {
    const answer = await fetch(`${app.url}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${ada.token}`, 'Content-Type': 'application/json' },
      body: text,
    });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain(name);
    const { data } = await ada.api.GET('/api/v1/users/me');
    expect(data).toMatchObject({ id: ada.id, role: 'member' });
    expect(({} as { role?: string }).role).toBeUndefined();
  });

  it('takes members of such names where they are data', async () => {
    const metadata = { ['constructor']: 'Ada & Sons', prototype: [1] };
    const made = await ada.api.POST('/api/v1/datasets', { body: { name: 'data', metadata } });
    expect(made.data).toMatchObject({ metadata });
    const path = { datasetId: made.data!.id };
    const changed = await ada.api.PATCH('/api/v1/datasets/{datasetId}', {
      params: { path },
      body: { metadata: { deep: metadata } },
    });
    expect(changed.data).toMatchObject({ metadata: { deep: metadata } });
    const document = await send(app, ada.token, 'GET', `/api/v1/datasets/${path.datasetId}/export`);
    const copy = JSON.parse(document.body) as { dataset: { name: string } };
    copy.dataset.name = 'copy';
    const imported = await send(app, ada.token, 'POST', '/api/v1/datasets/import', copy);
    expect(imported).toMatchObject({ status: 201 });
    expect(imported.body).toContain('Ada & Sons');
  });

  it.each(['constructor', '__proto__', 'prototype'])('refuses ?%s as any other', async (name) => {
    const { status } = await send(app, ada.token, 'GET', `/api/v1/datasets?${name}=1`);
    expect(status).toBe(400);
  });
});

describe('guessing', () => {
  it('answers names of datasets that are and that are not there alike', async () => {
    const app = await startApp();
    try {
      const [ada, bob] = [await app.user('ada'), await app.user('bob')];
      await ada.api.POST('/api/v1/datasets', { body: { name: 'hidden' } });
      const ask = (name: string) =>
        send(app, bob.token, 'GET', `/api/v1/datasets/by-name?owner=ada&name=${name}`);
      const [there, not] = [await ask('hidden'), await ask('nought')];
      expect(there).toEqual({ ...not, body: not.body.replaceAll('nought', 'hidden') });
      for (const q of ['q=hidden', 'owner=ada', 'name=hidden']) {
        const { body } = await send(app, bob.token, 'GET', `/api/v1/datasets?${q}`);
        expect(JSON.parse(body)).toMatchObject({ items: [], nextCursor: null });
      }
    } finally {
      await app.close();
    }
  });
});
