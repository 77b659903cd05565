import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { request, type ClientRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { DataSource } from 'typeorm';
import { STORAGE_BACKEND, type StorageBackend } from '../../src/core/contracts/storage-backend.js';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { keysUnder } from '../builders/storage.js';

const MEBIBYTE = 1024 * 1024;

interface Uploaded {
  id: number;
  sha256: string;
  sizeBytes: number;
  name: string | null;
  fileType: string | null;
  mimeType: string;
  compressionType: string | null;
  deduplicated: boolean;
}

interface Answer<T = Uploaded> {
  status: number;
  headers: Headers;
  body: T & { items: Uploaded[]; type: string; detail: string; errors: { at: string }[] };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
const contentDigest = (bytes: Uint8Array) => `sha-256=:${sha256(bytes).toString('base64')}:`;

let app: TestApp;
let alice: TestUser;
let bob: TestUser;
let backend: StorageBackend;
let dataSource: DataSource;

beforeAll(async () => {
  app = await startApp();
  [alice, bob] = [await app.user('alice'), await app.user('bob')];
  backend = app.app.get<StorageBackend>(STORAGE_BACKEND, { strict: false });
  dataSource = app.app.get(DataSource, { strict: false });
});

afterAll(() => app.close());

async function send<T = Uploaded>(
  user: TestUser,
  method: string,
  target: string,
  body?: RequestInit['body'],
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const response = await fetch(`${app.url}/api/v1${target}`, {
    method,
    headers: { Authorization: `Bearer ${user.token}`, ...headers },
    ...(body !== undefined && { body }),
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: (text === '' ? null : JSON.parse(text)) as Answer<T>['body'],
  };
}

const post = (
  user: TestUser,
  body: RequestInit['body'],
  options: { query?: string; headers?: Record<string, string> } = {},
) => send(user, 'POST', `/files${options.query ?? ''}`, body, options.headers);

function aForm(...parts: [field: string, content: Uint8Array | string, name?: string][]): FormData {
  const form = new FormData();
  for (const [field, content, name] of parts) {
    if (name === undefined) form.append(field, content);
    else form.append(field, new Blob([content]), name);
  }
  return form;
}

/** A form written out by hand, for what no client would send. */
function rawForm(...parts: string[]): { body: string; headers: Record<string, string> } {
  return {
    body: parts.map((part) => `--b\r\n${part}\r\n`).join('') + '--b--\r\n',
    headers: { 'Content-Type': 'multipart/form-data; boundary=b' },
  };
}

async function download(user: TestUser, id: number): Promise<Buffer> {
  const response = await fetch(`${app.url}/api/v1/files/${id}/content`, {
    headers: { Authorization: `Bearer ${user.token}` },
  });
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

const countFiles = async () =>
  Number((await dataSource.query<{ count: string }[]>('SELECT count(*) FROM files'))[0]!.count);

const expectEmptyStaging = () =>
  eventually(async () => expect(await keysUnder(backend, 'staging/')).toEqual([]));

/** Does something that must be refused, and checks that it leaves nothing. */
async function expectNothingLeft(work: () => Promise<unknown>): Promise<void> {
  const before = await countFiles();
  await work();
  expect(await countFiles()).toBe(before);
  await expectEmptyStaging();
}

describe('a raw upload', () => {
  it.each([
    ['text/csv; charset=UTF-8', '?name=a.csv', 'csv', 'text/csv;charset=UTF-8'],
    ['application/json', '?name=a.json', 'json', 'application/json'],
    ['application/json', '', null, 'application/json'],
    // What curl says when it is told nothing.
    ['application/x-www-form-urlencoded', '?name=a.tsv', 'tsv', 'text/tab-separated-values'],
    ['application/octet-stream', '?name=a.parquet', 'parquet', 'application/vnd.apache.parquet'],
    ['', '?name=a.bin&fileType=NPY', 'npy', 'application/octet-stream'],
    ['not a media type', '?name=a.txt', 'txt', 'text/plain'],
    ['multipart/mixed; boundary=x', '', null, 'multipart/mixed;boundary=x'],
  ])('of type %p with %p is of type %p, %p', async (contentType, query, fileType, mimeType) => {
    const bytes = randomBytes(100);
    const headers: Record<string, string> =
      contentType === '' ? {} : { 'Content-Type': contentType };
    const { status, body, headers: answered } = await post(alice, bytes, { query, headers });
    expect(status).toBe(201);
    expect(body).toMatchObject({ fileType, mimeType, sizeBytes: 100, deduplicated: false });
    expect(body.sha256).toBe(sha256(bytes).toString('hex'));
    expect(answered.get('location')).toBe(`/api/v1/files/${body.id}`);
    expect((await download(alice, body.id)).equals(bytes)).toBe(true);
    const { body: told } = await send(alice, 'GET', `/files/${body.id}`);
    expect(told).toMatchObject({ id: body.id, sha256: body.sha256, fileType, mimeType });
  });

  it('may be large, without saying how large', async () => {
    const bytes = randomBytes(3 * MEBIBYTE + 5);
    const stream = new Blob([bytes]).stream();
    const { status, body } = await post(alice, stream, { query: '?name=a.csv.gz' });
    expect(status).toBe(201);
    expect(body).toMatchObject({ fileType: 'csv', compressionType: 'gzip' });
    expect((await download(alice, body.id)).equals(bytes)).toBe(true);
  });

  it('may be empty, said or unsaid', async () => {
    const first = await post(alice, new Uint8Array(0));
    expect(first).toMatchObject({ status: 201, body: { sizeBytes: 0 } });
    const again = await post(alice, undefined);
    expect(again).toMatchObject({ status: 200, body: { id: first.body.id, deduplicated: true } });
    const form = await post(alice, aForm(['file', new Uint8Array(0), 'empty']));
    expect(form.body).toMatchObject({ id: first.body.id, deduplicated: true });
  });

  it('is closed to whoever is not signed in, before its body is read', async () => {
    const refused = await expectRefusalBeforeEnd({ Authorization: 'Bearer nobody' });
    expect(refused).toBe(401);
  });

  it('is refused for what its query says before its body is read', async () => {
    expect(await expectRefusalBeforeEnd({}, '?fileType=no%20type')).toBe(400);
    expect(await expectRefusalBeforeEnd({}, `?name=${'x'.repeat(1025)}`)).toBe(400);
    expect(await expectRefusalBeforeEnd({ 'Content-Encoding': 'gzip' })).toBe(415);
    expect(await expectRefusalBeforeEnd({ 'Content-Digest': 'nonsense' })).toBe(400);
  });

  it('is refused where the query holds what is not known', async () => {
    await expectNothingLeft(async () => {
      const { status, body } = await post(alice, randomBytes(10), { query: '?colour=red' });
      expect(status).toBe(400);
      expect(body.errors).toMatchObject([{ at: 'colour' }]);
    });
  });

  /** Sends a head that promises more than ever comes; gives the status of the answer. */
  function expectRefusalBeforeEnd(headers: Record<string, string>, query = ''): Promise<number> {
    return new Promise((resolve, reject) => {
      const req = request(`${app.url}/api/v1/files${query}`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${alice.token}`,
          'Content-Length': 10 * MEBIBYTE,
          ...headers,
        },
      });
      req.on('response', (res) => {
        resolve(res.statusCode!);
        req.destroy();
      });
      req.on('error', reject);
      req.write('x');
    });
  }
});

describe('Content-Digest', () => {
  const bytes = randomBytes(1000);

  it.each([
    ['right', contentDigest(bytes)],
    ['right, beside another', `sha-512=:AAAA:, ${contentDigest(bytes)}`],
    ['given twice, the last right', `${contentDigest(Buffer.from('x'))}, ${contentDigest(bytes)}`],
  ])('is taken when it is %s', async (_, header) => {
    const { body, status } = await post(bob, bytes, { headers: { 'Content-Digest': header } });
    expect([200, 201]).toContain(status);
    expect(body.sha256).toBe(sha256(bytes).toString('hex'));
  });

  it.each([
    ['of other bytes', contentDigest(Buffer.from('x')), 'digest-mismatch'],
    ['of another algorithm alone', 'sha-512=:AAAA:', 'unverifiable-digest'],
    ['too short', 'sha-256=:AAAA:', 'unverifiable-digest'],
    ['no dictionary', 'sha-256', 'unverifiable-digest'],
    ['empty', '', 'unverifiable-digest'],
  ])('is refused when it is %s', async (_, header, type) => {
    await expectNothingLeft(async () => {
      const other = randomBytes(1000);
      for (const body of [other, aForm(['file', other, 'a'])]) {
        const answer = await post(alice, body, { headers: { 'Content-Digest': header } });
        expect(answer.status).toBe(400);
        expect(answer.body.type).toContain(type);
      }
    });
  });

  it('covers a form as a whole', async () => {
    const { body, headers } = rawForm(
      'Content-Disposition: form-data; name="file"; filename="digest.txt"\r\n\r\ncontent',
    );
    const digest = contentDigest(Buffer.from(body));
    const right = await post(alice, body, { headers: { ...headers, 'Content-Digest': digest } });
    expect(right).toMatchObject({ status: 201, body: { name: 'digest.txt', sizeBytes: 7 } });
  });
});

describe('what an upload tells of what was there', () => {
  it('is nothing, to somebody who could not read it', async () => {
    const bytes = randomBytes(500);
    const first = await post(alice, bytes, {
      query: '?name=secret-project.csv',
      headers: { 'Content-Type': 'text/x-alice' },
    });
    const second = await post(bob, bytes, {
      query: '?name=mine.tsv',
      headers: { 'Content-Type': 'text/x-bob' },
    });
    const fresh = await post(bob, randomBytes(500), {
      query: '?name=mine.tsv',
      headers: { 'Content-Type': 'text/x-bob' },
    });
    expect(second.status).toBe(fresh.status);
    expect([...second.headers.keys()]).toEqual([...fresh.headers.keys()]);
    expect({ ...second.body, id: 0, sha256: '' }).toEqual({ ...fresh.body, id: 0, sha256: '' });
    expect(second.body.id).toBe(first.body.id);

    const { body: told } = await send<{ uploadedAt: string }>(
      bob,
      'GET',
      `/files/${first.body.id}`,
    );
    const { body: hers } = await send<{ uploadedAt: string }>(
      alice,
      'GET',
      `/files/${first.body.id}`,
    );
    expect(told).toMatchObject({ name: 'mine.tsv', fileType: 'tsv', mimeType: 'text/x-bob' });
    expect(hers).toMatchObject({ name: 'secret-project.csv', mimeType: 'text/x-alice' });
    expect(Date.parse(told.uploadedAt)).toBeGreaterThan(Date.parse(hers.uploadedAt));
  });

  it('is that it was, to somebody who could', async () => {
    const bytes = randomBytes(500);
    const first = await post(alice, bytes);
    const again = await post(alice, bytes, { query: '?name=new-name.csv' });
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({
      id: first.body.id,
      deduplicated: true,
      name: 'new-name.csv',
    });
    expect((await post(app.admin, bytes)).body.deduplicated).toBe(true);
  });

  it('is which contents may be reused, and only those', async () => {
    const [mine, theirs, nobodys] = [randomBytes(5), randomBytes(6), randomBytes(7)];
    const { body: uploaded } = await post(alice, mine);
    await post(bob, theirs);
    const digests = [mine, theirs, nobodys].map((bytes) => sha256(bytes).toString('hex'));
    const check = (user: TestUser) =>
      user.api.POST('/api/v1/files/check', { body: { sha256: digests } });
    expect((await check(alice)).data?.items).toEqual([
      { id: uploaded.id, sha256: digests[0], sizeBytes: 5 },
    ]);
    expect((await check(app.admin)).data?.items).toHaveLength(2);
    await dataSource.query('UPDATE files SET damaged_at = now() WHERE id = $1', [uploaded.id]);
    expect((await check(alice)).data?.items).toEqual([]);
    expect((await send(alice, 'GET', `/files/${uploaded.id}`)).body).toMatchObject({
      damaged: true,
    });
    await post(alice, mine);
    expect((await check(alice)).data?.items).toHaveLength(1);
  });

  it.each([
    ['upper case', ['A'.repeat(64)]],
    ['too short', ['ab']],
    ['twice the same', ['a'.repeat(64), 'a'.repeat(64)]],
    ['no list', 'a'.repeat(64)],
    ['too many', Array.from({ length: 1001 }, (_, index) => String(index).padStart(64, '0'))],
  ])('is refused to be told: %s', async (_, digests) => {
    const { status } = await send(
      alice,
      'POST',
      '/files/check',
      JSON.stringify({ sha256: digests }),
      { 'Content-Type': 'application/json' },
    );
    expect(status).toBe(400);
  });
});

describe("giving one's upload back", () => {
  it('closes the file to whoever had no other way to it', async () => {
    const bytes = randomBytes(50);
    const { body } = await post(alice, bytes);
    await post(bob, bytes);
    const params = { params: { path: { fileId: body.id } } };
    const release = (user: TestUser) => user.api.DELETE('/api/v1/files/{fileId}', params);
    expect((await release(alice)).response.status).toBe(204);
    expect((await release(alice)).response.status).toBe(404);
    expect((await send(alice, 'GET', `/files/${body.id}`)).status).toBe(404);
    expect((await send(bob, 'GET', `/files/${body.id}`)).status).toBe(200);
    const state = async () =>
      (
        await dataSource.query<{ reference_count: string; unreferenced: boolean }[]>(
          `SELECT reference_count, unreferenced_since IS NOT NULL AS unreferenced
           FROM files WHERE id = $1`,
          [body.id],
        )
      )[0];
    expect(await state()).toEqual({ reference_count: '1', unreferenced: false });
    expect((await release(bob)).response.status).toBe(204);
    expect(await state()).toEqual({ reference_count: '0', unreferenced: true });
    // Only an administrator still sees it, and nobody's name is on it.
    const { body: left } = await send(app.admin, 'GET', `/files/${body.id}`);
    expect(left).toMatchObject({ name: null, uploadedAt: null, heldUntil: null });
  });

  it('is 404 for what there is not, and 400 for what is no id', async () => {
    expect((await send(alice, 'DELETE', '/files/2147483647')).status).toBe(404);
    expect((await send(alice, 'DELETE', '/files/2147483648')).status).toBe(400);
    expect((await send(alice, 'GET', '/files/2147483647')).status).toBe(404);
  });
});

describe('a form', () => {
  it('stores each file under its own name, in its order', async () => {
    const contents = [randomBytes(2 * MEBIBYTE), randomBytes(10), randomBytes(300_000)];
    const names = ['größe 📏.csv', 'a "quoted" name.json', 'deep/er/table.parquet'];
    const form = new FormData();
    for (const [index, bytes] of contents.entries()) {
      form.append('file', new Blob([bytes]), names[index]);
    }
    const { status, body } = await post(alice, form);
    expect(status).toBe(201);
    expect(body.items.map(({ name }) => name)).toEqual(names);
    expect(body.items.map(({ fileType }) => fileType)).toEqual(['csv', 'json', 'parquet']);
    for (const [index, { id }] of body.items.entries()) {
      expect((await download(alice, id)).equals(contents[index]!)).toBe(true);
    }
  });

  it('is 200 only where all of it was there', async () => {
    const [one, other] = [randomBytes(10), randomBytes(11)];
    await post(alice, one);
    const mixed = await post(alice, aForm(['file', one, 'a'], ['file', other, 'b']));
    expect(mixed.status).toBe(201);
    expect(mixed.body.items.map(({ deduplicated }) => deduplicated)).toEqual([true, false]);
    const all = await post(alice, aForm(['file', one, 'a'], ['file', other, 'b']));
    expect(all.status).toBe(200);
    const twice = randomBytes(12);
    const same = await post(alice, aForm(['file', twice, 'a'], ['file', twice, 'b']));
    expect(same.status).toBe(201);
    expect(new Set(same.body.items.map(({ id }) => id)).size).toBe(1);
  });

  it('takes a part at its own word for its type, but not for a type that it did not say', async () => {
    const { body, headers } = rawForm(
      `Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n${randomUUID()}`,
      `Content-Disposition: form-data; name="file"; filename="b.csv"\r\nContent-Type: text/x-own\r\n\r\n${randomUUID()}`,
    );
    const { body: answer } = await post(alice, body, { headers });
    expect(answer.items.map(({ mimeType }) => mimeType)).toEqual(['text/csv', 'text/x-own']);
  });

  it.each([
    ['has no file', () => aForm(['file', 'text']), 'file'],
    ['has nothing', () => new FormData(), 'file'],
    ['has a text field', () => aForm(['file', randomBytes(9), 'a'], ['note', 'text']), 'note'],
    ['has a file in another field', () => aForm(['other', randomBytes(9), 'a']), 'other'],
    ['gives a field twice', () => aForm(['note', 'a'], ['note', 'b']), 'note'],
    ['has a field with a path', () => aForm(['a[b]', 'text']), undefined],
    ['has a field named __proto__', () => aForm(['__proto__', 'text']), '__proto__'],
    ['has NUL in a field', () => aForm(['note', 'a\0b']), undefined],
    ['has a filename that is too long', () => aForm(['file', 'x', 'n'.repeat(1025)]), undefined],
  ])('that %s is refused, and nothing of it stays', async (_, makeForm, at) => {
    await expectNothingLeft(async () => {
      const { status, body } = await post(alice, makeForm());
      expect([400, 413]).toContain(status);
      if (at !== undefined) expect(body.errors).toMatchObject([{ at }]);
    });
  });

  it.each([
    ['has no boundary', 'no boundary'],
    ['breaks off', '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nxx'],
    ['never begins', 'nothing of the kind'],
    ['has a part with a broken head', '--b\r\nContent-Disposition\r\n\r\nx\r\n--b--\r\n'],
    [
      'has a file without a name',
      '--b\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: application/octet-stream\r\n\r\nlost\r\n--b--\r\n',
    ],
    [
      'has a file with an empty name',
      '--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\nlost\r\n--b--\r\n',
    ],
    ['has a nameless field', '--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n'],
  ])('that %s is refused, and nothing of it stays', async (_, body) => {
    await expectNothingLeft(async () => {
      const headers = {
        'Content-Type': `multipart/form-data${body === 'no boundary' ? '' : '; boundary=b'}`,
      };
      expect((await post(alice, body, { headers })).status).toBe(400);
    });
  });

  it.each([
    [
      'files',
      () => Array.from({ length: 1001 }, () => ['file', 'x', 'a'] as [string, string, string]),
    ],
    ['fields', () => Array.from({ length: 101 }, (_, i) => [`f${i}`, 'x'] as [string, string])],
    ['bytes in a field', () => [['f', 'x'.repeat(11 * MEBIBYTE)] as [string, string]]],
    ['letters in a field name', () => [['f'.repeat(257), 'x'] as [string, string]]],
  ])('with too many %s is refused, and nothing of it stays', async (_, makeParts) => {
    await expectNothingLeft(async () => {
      const parts = makeParts().map(
        ([field, content, name]) =>
          [field, name ? Buffer.from(content) : content, name] as [string, string, string],
      );
      expect((await post(alice, aForm(...parts))).status).toBe(413);
    });
  });
});

describe('a form that is refused while it still comes', () => {
  const large = () => randomBytes(8 * MEBIBYTE);

  it.each([
    ['before a large file', () => aForm(['a[b]', 'text'], ['file', large(), 'a'])],
    ['between two', () => aForm(['file', large(), 'a'], ['a[b]', 'text'], ['file', large(), 'b'])],
    [
      'after many small ones',
      () =>
        aForm(
          ...Array.from({ length: 40 }, (_, index): [string, Uint8Array, string] => [
            'file',
            randomBytes(1000),
            `${index}`,
          ]),
          ['a[b]', 'text'],
          ['file', large(), 'b'],
        ),
    ],
  ])('is answered, %s', async (_, makeForm) => {
    await expectNothingLeft(async () => {
      expect((await post(alice, makeForm())).status).toBe(400);
    });
  });
});

describe('a sender that goes away', () => {
  it.each([
    ['raw', 0.1],
    ['raw', 0.5],
    ['raw', 0.99],
    ['form', 0.1],
    ['form', 0.5],
    ['form', 0.99],
  ])('leaves nothing of a %s upload at %d', async (kind, part) => {
    await expectNothingLeft(async () => {
      const bytes = randomBytes(20 * MEBIBYTE);
      const before =
        kind === 'raw'
          ? ''
          : '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n';
      const req = openUpload(before.length + bytes.length, kind === 'form');
      req.write(before);
      req.write(bytes.subarray(0, bytes.length * part));
      await eventually(async () => expect(await keysUnder(backend, 'staging/')).not.toEqual([]));
      req.destroy();
      await expectEmptyStaging();
    });
  });

  it('leaves nothing where the length lied and the connection ends', async () => {
    await expectNothingLeft(async () => {
      const { hostname, port } = new URL(app.url);
      const socket = connect(Number(port), hostname);
      socket.end(
        `POST /api/v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice.token}\r\n` +
          'Content-Length: 1000\r\n\r\nonly this',
      );
      await new Promise((resolve) => socket.once('close', resolve).resume());
    });
  });

  it('takes only what the length says of a body that goes on', async () => {
    const { hostname, port } = new URL(app.url);
    const content = `unlike any other ${randomUUID()}`;
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /api/v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice.token}\r\n` +
        `Content-Length: ${content.length}\r\n\r\n${content} and more`,
    );
    let answer = '';
    await new Promise((resolve) =>
      socket
        .on('data', (chunk) => (answer += chunk.toString()))
        .once('close', resolve)
        .once('error', resolve),
    );
    // What follows is no request, and the connection ends; the body may have been whole by then.
    expect(answer).toContain('400 Bad Request');
    await expectEmptyStaging();
    const stored = await dataSource.query<{ content_hash: string }[]>(
      'SELECT content_hash FROM files WHERE file_size = $1',
      [content.length],
    );
    const digest = sha256(Buffer.from(content)).toString('hex');
    for (const { content_hash } of stored) expect(content_hash).toBe(digest);
  });

  function openUpload(length: number, isForm: boolean): ClientRequest {
    const req = request(`${app.url}/api/v1/files`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${alice.token}`,
        'Content-Length': length,
        ...(isForm && { 'Content-Type': 'multipart/form-data; boundary=b' }),
      },
    });
    req.on('error', () => {});
    return req;
  }
});

describe('Idempotency-Key', () => {
  it('gives the first answer again, and refuses another body', async () => {
    const key = { 'Idempotency-Key': randomUUID() };
    const bytes = randomBytes(100);
    const first = await post(alice, bytes, { headers: key });
    const again = await post(alice, bytes, { headers: key });
    expect([again.status, again.body]).toEqual([201, first.body]);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    await expectNothingLeft(async () => {
      expect((await post(alice, randomBytes(100), { headers: key })).status).toBe(422);
    });
  });

  it('never makes many at once wait for each other', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => {
        const headers: Record<string, string> =
          index % 2 === 0 ? { 'Idempotency-Key': randomUUID() } : {};
        return post(alice, randomBytes(100), { headers });
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 201));
  });
});

describe('100 uploads of the same content at once', () => {
  it('store it once', async () => {
    const before = await countFiles();
    const bytes = randomBytes(400_000);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        post(index % 3 === 0 ? bob : alice, index % 2 ? bytes : aForm(['file', bytes, 'a'])),
      ),
    );
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await countFiles()).toBe(before + 1);
    await expectEmptyStaging();
  });
});

/** A small file system of its own, or null where none can be mounted. */
async function mountSmallDisk(): Promise<{ folder: string; unmount(): void } | null> {
  const folder = await mkdtemp(path.join(tmpdir(), 'varve-small-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    await rm(folder, { recursive: true });
    return null;
  }
  return {
    folder,
    unmount: () => execFileSync('umount', ['--lazy', folder]),
  };
}

const smallDisk = await mountSmallDisk();
const describeOnSmallDisk = smallDisk ? describe : describe.skip;

describeOnSmallDisk('a full disk (skipped where no tmpfs can be mounted)', () => {
  let full: TestApp;

  beforeAll(async () => {
    full = await startApp({ STORAGE_URL: pathToFileURL(smallDisk!.folder).href });
  });

  afterAll(async () => {
    await full.close();
    smallDisk!.unmount();
    await rm(smallDisk!.folder, { recursive: true });
  });

  const upload = (body: RequestInit['body']) =>
    fetch(`${full.url}/api/v1/files`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${full.admin.token}` },
      body: body!,
    });

  it.each([
    ['raw', (bytes: Buffer<ArrayBuffer>) => bytes],
    ['form', (bytes: Buffer<ArrayBuffer>) => aForm(['file', bytes, 'a'])],
  ])('refuses a %s upload with 507, keeps nothing, and goes on with what fits', async (_, wrap) => {
    const refused = await upload(wrap(randomBytes(30 * MEBIBYTE)));
    expect(refused.status).toBe(507);
    expect(await refused.json()).toMatchObject({ title: 'The storage is full' });
    const own = full.app.get<StorageBackend>(STORAGE_BACKEND, { strict: false });
    await eventually(async () => expect(await keysUnder(own, 'staging/')).toEqual([]));
    expect((await upload(randomBytes(MEBIBYTE))).status).toBe(201);
  });
});
