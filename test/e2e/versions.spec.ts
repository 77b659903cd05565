import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { get } from 'node:http';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { extract } from 'tar-stream';
import { startApp, type TestApp } from '../app.js';
import {
  codeOf,
  contentAt,
  VersionsApi,
  type FileEntry,
  type Page,
  type Version,
} from '../builders/versions-api.js';

let server: TestApp;
let api: VersionsApi;
let theirApi: VersionsApi;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, await server.user('ada'));
  theirApi = new VersionsApi(server, await server.user('bob'));
});

afterAll(async () => {
  await server.close();
});

describe('commits over HTTP', () => {
  it('puts, moves and removes, and gives every byte of every version back', async () => {
    const dataset = await api.aDataset();
    const first = await api.commitFiles(dataset, { 'a.txt': 'first a', 'dir/b.txt': 'first b' });
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({ versionNumber: 1, fileCount: 2, totalSizeBytes: 14 });
    expect(first.headers.get('location')).toBe(`/api/v1/datasets/${dataset}/refs/1`);
    expect(first.headers.get('etag')).toBe(`"${first.body.digest}"`);

    const second = await api.commit(dataset, [
      { op: 'move', from: 'a.txt', path: 'c.txt' },
      { op: 'remove', path: 'dir/b.txt' },
      { op: 'put', path: 'd.txt', fileId: await api.upload('a new d'), metadata: { rows: 1 } },
    ]);
    expect(second.body).toMatchObject({ versionNumber: 2, parentId: first.body.id, fileCount: 2 });

    for (const [ref, at, content] of [
      ['1', 'a.txt', 'first a'],
      ['1', 'dir/b.txt', 'first b'],
      ['main', 'c.txt', 'first a'],
      [second.body.digest, 'd.txt', 'a new d'],
      ['main~1', 'dir/b.txt', 'first b'],
    ] as const) {
      const answer = await api.call<string>('GET', contentAt(dataset, ref, at));
      expect([answer.status, answer.body]).toEqual([200, content]);
    }
    for (const [ref, at] of [
      ['2', 'a.txt'],
      ['main', 'dir/b.txt'],
      ['3', 'c.txt'],
      ['nowhere', 'c.txt'],
    ] as const) {
      expect(codeOf(await api.call('GET', contentAt(dataset, ref, at)))).toBe('404 not-found');
    }
    const files = await api.everything<FileEntry>(`/datasets/${dataset}/refs/main/files?limit=1`);
    expect(files.map((file) => [file.path, file.sizeBytes, file.metadata])).toEqual([
      ['c.txt', 7, null],
      ['d.txt', 7, { rows: 1 }],
    ]);
    const reuse = await api.commit(dataset, [
      { op: 'put', path: 'e.txt', sha256: createHash('sha256').update('a new d').digest('hex') },
    ]);
    expect(reuse.body).toMatchObject({ versionNumber: 3, fileCount: 3 });
  });

  it('keeps every name exactly, in an order that pages never skip or repeat', async () => {
    const dataset = await api.aDataset();
    const names = [
      'caf\u00e9',
      'cafe\u0301',
      'README',
      'readme',
      '🦊/\u{10ffff}.csv',
      '\uffee',
      `"double" and 'single'`,
      '%2e%2e%2fetc',
      'a',
      'a/b',
      'back\\slash',
      ' blank ',
      '__proto__',
      'x'.repeat(1024),
    ];
    const fileId = await api.upload('the same');
    const made = await api.commit(
      dataset,
      names.map((name) => ({ op: 'put', path: name, fileId })),
    );
    expect(made.status).toBe(201);
    const inOrder = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const limit of [1, 3, 100]) {
      const files = await api.everything<FileEntry>(
        `/datasets/${dataset}/refs/main/files?limit=${limit}`,
      );
      expect(files.map((file) => file.path)).toEqual(inOrder);
    }
    for (const name of names) {
      const answer = await api.call<string>('GET', contentAt(dataset, 'main', name));
      expect([answer.status, answer.body]).toEqual([200, 'the same']);
    }
  });

  it.each([
    '../x',
    'a/../b',
    'a\\..\\b',
    '/etc/passwd',
    'a//b',
    'a/',
    './a',
    'a\u0000b',
    'a\nb',
    'x'.repeat(1025),
    '',
  ])('refuses the path %j with a reason, and changes nothing', async (name) => {
    const dataset = await api.aDataset();
    const answer = await api.commit(dataset, [
      { op: 'put', path: name, fileId: await api.upload('x') },
    ]);
    expect(codeOf(answer)).toBe('400 invalid-input');
    expect(await api.everything(`/datasets/${dataset}/versions?limit=9`)).toEqual([]);
  });

  it('refuses commits that are malformed, and says where', async () => {
    const dataset = await api.aDataset();
    const put = { op: 'put', path: 'a', fileId: await api.upload('x') };
    for (const [body, at] of [
      [{ operations: [put] }, 'message'],
      [{ message: 'm' }, 'operations'],
      [{ message: 'm', operations: [] }, 'operations'],
      [{ message: 'm', operations: 'put' }, 'operations'],
      [{ message: 'm', operations: [1] }, 'operations.0'],
      [{ message: 'm', operations: [{ op: 'copy', path: 'a' }] }, 'operations.0.op'],
      [{ message: 'm', operations: [{ op: 'put', path: 'a' }] }, 'operations.0'],
      [{ message: 'm', operations: [{ ...put, sha256: 'x' }] }, 'operations.0'],
      [{ message: 'm', operations: [{ ...put, fileId: -1 }] }, 'operations.0.fileId'],
      [
        { message: 'm', operations: [{ op: 'put', path: 'a', sha256: 'x' }] },
        'operations.0.sha256',
      ],
      [{ message: 'm', operations: [{ ...put, metadata: [] }] }, 'operations.0.metadata'],
      [{ message: 'm', operations: [{ ...put, from: 'b' }] }, 'operations.0.from'],
      [{ message: 'm', operations: [{ op: 'move', path: 'a' }] }, 'operations.0.from'],
      [{ message: 'm', operations: [put], branch: '12' }, 'branch'],
      [{ message: 'm', operations: [put], branch: 'a..b' }, 'branch'],
      [{ message: 'm', operations: [put], versionTag: 'x y' }, 'versionTag'],
      [{ message: 'm', operations: [put], parent: {} }, 'parent'],
      [{ message: 'm', operations: [put], more: 1 }, 'more'],
      [{ message: 'm'.repeat(10_001), operations: [put] }, 'message'],
    ] as const) {
      const answer = await api.call<{ errors: { at: string }[] }>(
        'POST',
        `/datasets/${dataset}/versions`,
        { json: body },
      );
      expect(codeOf(answer)).toBe('400 invalid-input');
      expect(answer.body.errors[0]?.at).toBe(at);
    }
    expect(await api.everything(`/datasets/${dataset}/versions?limit=9`)).toEqual([]);
  });

  it('says what stands in the way of a commit', async () => {
    const dataset = await api.aDataset();
    const file = await api.upload('in the way');
    await api.commit(dataset, [{ op: 'put', path: 'a', fileId: file }], { versionTag: 'v1' });
    const put = { op: 'put', path: 'b', fileId: file };
    for (const [operations, more, code] of [
      [[{ op: 'remove', path: 'b' }], {}, '409 path-missing'],
      [[put, { op: 'move', from: 'a', path: 'b' }], {}, '409 path-exists'],
      [[{ op: 'put', path: 'a', fileId: file }], {}, '409 nothing-changed'],
      [[put], { branch: 'v1' }, '409 not-a-branch'],
      [[put], { branch: 'other' }, '404 not-found'],
      [[put], { versionTag: 'v1' }, '409 pointer-exists'],
      [[put], { versionTag: 'main' }, '409 pointer-exists'],
      [[put], { parent: 'nowhere' }, '404 not-found'],
      [[put], { parent: null }, '412 ref-moved'],
      [[{ ...put, fileId: 999_999 }], {}, '422 file-missing'],
      [[{ op: 'put', path: 'b', sha256: 'ab'.repeat(32) }], {}, '422 content-missing'],
    ] as const) {
      expect(codeOf(await api.commit(dataset, operations, more))).toBe(code);
    }
    expect(await api.everything(`/datasets/${dataset}/versions?limit=9`)).toHaveLength(1);
  });

  it('lets one of many commits from one parent win, by parent or by If-Match', async () => {
    const dataset = await api.aDataset();
    const first = await api.commitFiles(dataset, { a: 'a' });
    const ids = await Promise.all(Array.from({ length: 16 }, (_, i) => api.upload(`rival ${i}`)));
    const answers = await Promise.all(
      ids.map((fileId, i) =>
        i % 2
          ? api.commit(dataset, [{ op: 'put', path: 'b', fileId }], { parent: first.body.digest })
          : api.commit(
              dataset,
              [{ op: 'put', path: 'b', fileId }],
              {},
              {
                'If-Match': `"${first.body.digest}"`,
              },
            ),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const winner = answers.find(({ status }) => status === 201)!;
    for (const answer of answers.filter(({ status }) => status !== 201)) {
      expect(codeOf(answer)).toBe('412 ref-moved');
      expect(answer.body).toMatchObject({
        ref: 'main',
        expected: first.body.digest,
        actual: winner.body.digest,
      });
    }
    expect(await api.everything(`/datasets/${dataset}/versions?limit=9`)).toHaveLength(2);
    expect(
      codeOf(await api.commit(dataset, [{ op: 'remove', path: 'a' }], {}, { 'If-Match': 'x' })),
    ).toBe('400 invalid-input');
  });

  it('gives the first answer again for the same Idempotency-Key', async () => {
    const dataset = await api.aDataset();
    const operations = [{ op: 'put', path: 'a', fileId: await api.upload('once') }];
    const once = await api.commit(dataset, operations, {}, { 'Idempotency-Key': 'k1' });
    const again = await api.commit(dataset, operations, {}, { 'Idempotency-Key': 'k1' });
    expect(again.status).toBe(201);
    expect(again.body).toEqual(once.body);
    expect(again.headers.get('etag')).toBe(once.headers.get('etag'));
    expect(await api.everything(`/datasets/${dataset}/versions?limit=9`)).toHaveLength(1);
  });

  it('shows and lends nothing to somebody who may not read it', async () => {
    const dataset = await api.aDataset();
    const theirs = await theirApi.aDataset();
    const file = await api.upload('a secret');
    const { body } = await api.commit(dataset, [{ op: 'put', path: 'a', fileId: file }]);
    for (const at of [
      `/datasets/${dataset}/versions`,
      `/datasets/${dataset}/refs/main`,
      `/datasets/${dataset}/refs/${body.digest}/files`,
      contentAt(dataset, '1', 'a'),
      `/datasets/${dataset}/refs/1/archive`,
      `/datasets/${theirs}/refs/${body.digest}`,
    ]) {
      expect(codeOf(await theirApi.call('GET', at))).toBe('404 not-found');
    }
    const sha256 = createHash('sha256').update('a secret').digest('hex');
    const steal = (operation: Record<string, unknown>) =>
      theirApi.call('POST', `/datasets/${theirs}/versions`, {
        json: { message: 'steal', operations: [{ op: 'put', path: 'a', ...operation }] },
      });
    const byId = await steal({ fileId: file });
    const unknown = await steal({ fileId: 999_999 });
    expect(codeOf(byId)).toBe('422 file-missing');
    expect(codeOf(unknown)).toBe('422 file-missing');
    expect(codeOf(await steal({ sha256 }))).toBe('422 content-missing');
    // Whoever has the bytes may use them, and learns nothing from doing so.
    expect((await theirApi.commitFiles(theirs, { a: 'a secret' })).status).toBe(201);
  });
});

describe('reading over HTTP', () => {
  it('folds names at a delimiter', async () => {
    const dataset = await api.aDataset();
    const file = await api.upload('folded');
    const names = ['a', 'b/1', 'b/2', 'b/c/3', 'd/4', 'e'];
    await api.commit(
      dataset,
      names.map((name) => ({ op: 'put', path: name, fileId: file })),
    );
    type Item = { path?: string; prefix?: string };
    const list = async (query: string) =>
      (await api.everything<Item>(`/datasets/${dataset}/refs/main/files?${query}`)).map(
        (item) => item.path ?? `${item.prefix} …`,
      );
    expect(await list('limit=1&delimiter=/')).toEqual(['a', 'b/ …', 'd/ …', 'e']);
    expect(await list('limit=2&delimiter=/&prefix=b/')).toEqual(['b/1', 'b/2', 'b/c/ …']);
    expect(await list('limit=2&prefix=b')).toEqual(['b/1', 'b/2', 'b/c/3']);
    expect(await list('limit=2&prefix=nothing')).toEqual([]);
  });

  it('shows the version of the first page on all pages, while the branch moves on', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { a: '1', b: '2', c: '3' });
    const files = `/datasets/${dataset}/refs/main/files?limit=2`;
    const page = await api.call<Page<FileEntry>>('GET', files);
    await api.commit(dataset, [
      { op: 'remove', path: 'c' },
      { op: 'move', from: 'a', path: 'd' },
    ]);
    const next = await api.call<Page<FileEntry>>('GET', `${files}&cursor=${page.body.nextCursor}`);
    expect(next.body.items.map((file) => file.path)).toEqual(['c']);
    for (const cursor of ['x', 'W10', Buffer.from('[1,"\\u0000",false]').toString('base64url')]) {
      const forged = await api.call('GET', `${files}&cursor=${cursor}`);
      expect(codeOf(forged)).toBe('400 invalid-input');
    }
  });

  it('tells the history of a dataset, of a ref and of a path', async () => {
    const dataset = await api.aDataset();
    for (let i = 1; i <= 5; i++) {
      await api.commitFiles(dataset, { [i % 2 ? 'odd' : 'even']: `${i}` }, { message: `m${i}` });
    }
    const history = async (query: string) =>
      (await api.everything<Version>(`/datasets/${dataset}/versions?limit=2&${query}`)).map(
        (version) => version.message,
      );
    expect(await history('')).toEqual(['m5', 'm4', 'm3', 'm2', 'm1']);
    expect(await history('ref=main')).toEqual(['m5', 'm4', 'm3', 'm2', 'm1']);
    expect(await history('ref=3')).toEqual(['m3', 'm2', 'm1']);
    expect(await history('path=even')).toEqual(['m4', 'm2']);
    expect(await history('ref=main~2&path=odd')).toEqual(['m3', 'm1']);
    expect(await history('path=never')).toEqual([]);
    expect(codeOf(await api.call('GET', `/datasets/${dataset}/versions?ref=9`))).toBe(
      '404 not-found',
    );
  });

  it('answers content with ranges and conditions, for ever where the ref cannot move', async () => {
    const dataset = await api.aDataset();
    const { body } = await api.commitFiles(dataset, { 'dir/Ümläut.csv': '0123456789' });
    const at = contentAt(dataset, 'main', 'dir/Ümläut.csv');
    const range = await api.call<string>('GET', at, { headers: { Range: 'bytes=2-4' } });
    expect([range.status, range.body]).toEqual([206, '234']);
    expect(range.headers.get('content-disposition')).toContain(
      "filename*=UTF-8''%C3%9Cml%C3%A4ut.csv",
    );
    expect(range.headers.get('cache-control')).not.toContain('immutable');
    for (const ref of ['1', body.digest]) {
      const fixed = await api.call('HEAD', contentAt(dataset, ref, 'dir/Ümläut.csv'));
      expect(fixed.status).toBe(200);
      expect(fixed.headers.get('content-length')).toBe('10');
      expect(fixed.headers.get('cache-control')).toContain('immutable');
    }
    const etag = range.headers.get('etag')!;
    const known = await api.call('GET', at, { headers: { 'If-None-Match': etag } });
    expect(known.status).toBe(304);
    expect(codeOf(await api.call('GET', `/datasets/${dataset}/refs/main/content`))).toBe(
      '400 invalid-input',
    );
  });

  it('sends a version as a tar or zip that the usual tools read', async () => {
    const dataset = await api.aDataset();
    const files = { 'a.txt': 'aaa', 'dir/é.txt': 'x'.repeat(300_000), empty: '' };
    await api.commitFiles(dataset, files);
    const response = await fetch(`${server.url}/api/v1/datasets/${dataset}/refs/main/archive`, {
      headers: { Authorization: `Bearer ${api.user.token}` },
    });
    expect(response.headers.get('content-type')).toBe('application/x-tar');
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; .*-1\.tar"?$/);
    const extraction = extract();
    Readable.fromWeb(response.body as never).pipe(extraction);
    const found: Record<string, string> = {};
    for await (const file of extraction) {
      found[file.header.name] = (await buffer(file)).toString();
    }
    expect(found).toEqual(files);
    const zip = await fetch(
      `${server.url}/api/v1/datasets/${dataset}/refs/main/archive?format=zip&prefix=dir/`,
      { headers: { Authorization: `Bearer ${api.user.token}` } },
    );
    const bytes = Buffer.from(await zip.arrayBuffer());
    expect(zip.headers.get('content-type')).toBe('application/zip');
    expect(bytes.readUInt32LE(0)).toBe(0x04034b50);
    expect(bytes.includes('dir/é.txt')).toBe(true);
    expect(bytes.includes('a.txt')).toBe(false);
    expect(codeOf(await api.call('GET', `/datasets/${dataset}/refs/main/archive?format=rar`))).toBe(
      '400 invalid-input',
    );
  });

  it('breaks an archive off when a content is lost, and never ends it well', async () => {
    const dataset = await api.aDataset();
    const lost = 'to be lost '.repeat(1000);
    await api.commitFiles(dataset, { a: 'a'.repeat(100_000), b: lost });
    const digest = createHash('sha256').update(lost).digest('hex');
    const { stdout } = await promisify(execFile)('find', [
      server.config.DATA_DIR,
      '-name',
      `*${digest}*`,
    ]);
    const [file] = stdout.trim().split('\n');
    expect(file).toBeTruthy();
    await rm(path.resolve(file!));
    for (const format of ['tar', 'zip']) {
      const response = await fetch(
        `${server.url}/api/v1/datasets/${dataset}/refs/main/archive?format=${format}`,
        { headers: { Authorization: `Bearer ${api.user.token}` } },
      );
      await expect(response.arrayBuffer()).rejects.toThrow();
    }
  });

  it('stops making an archive when its reader goes away, and serves on', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(
      dataset,
      Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, `${i}`.repeat(300_000)])),
    );
    const request = get(`${server.url}/api/v1/datasets/${dataset}/refs/main/archive`, {
      headers: { Authorization: `Bearer ${api.user.token}` },
    });
    const [response] = (await once(request, 'response')) as [Readable];
    await once(response, 'data');
    response.destroy();
    await once(response, 'close');
    const whole = await fetch(`${server.url}/api/v1/datasets/${dataset}/refs/main/archive`, {
      headers: { Authorization: `Bearer ${api.user.token}` },
    });
    expect((await whole.arrayBuffer()).byteLength).toBeGreaterThan(6_000_000);
  });
});
