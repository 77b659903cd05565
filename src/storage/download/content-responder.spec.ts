import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import express from 'express';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, truncate, unlink } from 'node:fs/promises';
import http, { type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer as bodyOf } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { ObjectReader } from '../../core/contracts/storage-backend.js';
import type { FileId } from '../../core/ids.js';
import { Problem } from '../../core/problems.js';
import { TypeOrmUnitOfWork } from '../../platform/database/unit-of-work.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { LocalBackend } from '../backend/local/local.backend.js';
import { StoredContentResponder } from './content-responder.js';
import { OpenObjects } from './open-objects.js';
import { ContentLookup } from './content-lookup.js';
import { DownloadBuffers, LARGE_BYTES, SMALL_BYTES } from './download-buffers.js';

let database: TestDatabase;
let dataSource: DataSource;
let root: string;
let backend: WatchedBackend;
let server: Server;
let port: number;
let responder: StoredContentResponder;
const buffers = new DownloadBuffers(4);
const metrics = new Metrics();

/** A local backend whose readers can be counted and made to fail. */
class WatchedBackend {
  openReaders = 0;
  failAt = Number.POSITIVE_INFINITY;

  constructor(readonly local: LocalBackend) {}

  async openReader(key: string): Promise<ObjectReader> {
    const reader = await this.local.openReader(key);
    this.openReaders += 1;
    return {
      read: (buffer, position) => {
        if (position >= this.failAt) return Promise.reject(new Error('the disk is gone'));
        return reader.read(buffer, position);
      },
      close: () => {
        this.openReaders -= 1;
        return reader.close();
      },
    };
  }
}

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await testDatabase();
  dataSource = await database.open();
  root = await mkdtemp(path.join(tmpdir(), 'varve-download-'));
  backend = new WatchedBackend(await LocalBackend.open(root));
  const unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
  responder = new StoredContentResponder(
    new ContentLookup(unitOfWork),
    new OpenObjects(backend, 20),
    buffers,
    metrics,
  );
  const app = express();
  app.get('/files/:id', (req, res, next) => {
    const { name, immutable } = req.query;
    responder
      .respond(req, res, Number(req.params.id) as FileId, {
        downloadName: typeof name === 'string' ? name : null,
        immutable: immutable === 'true',
      })
      .catch(next);
  });
  app.use((error: Error, _: express.Request, res: express.Response, next: express.NextFunction) => {
    if (res.headersSent) return next(error);
    if (!(error instanceof Problem)) return res.status(500).json({ message: error.message });
    res.status(error.kind.status).set(error.headers).json({ code: error.kind.code });
  });
  server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

afterEach(async () => {
  backend.failAt = Number.POSITIVE_INFINITY;
  await eventually(() => expect([backend.openReaders, buffers.lent]).toEqual([0, 0]));
});

interface Stored {
  readonly id: number;
  readonly sha256: string;
  readonly etag: string;
  readonly path: string;
}

async function store(bytes: Buffer, columns: Record<string, unknown> = {}): Promise<Stored> {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const sink = await backend.local.openStaging();
  await sink.write(bytes);
  const key = await backend.local.finalize(await sink.finish(), sha256);
  const row = { mime_type: 'text/csv', file_type: 'csv', damaged_at: null, ...columns };
  const [file] = await dataSource.query<{ id: number }[]>(
    `INSERT INTO files (storage_type, mime_type, file_type, file_path, file_size, content_hash, damaged_at)
     VALUES ('local', $1, $2, $3, $4, $5, $6) RETURNING id`,
    [row.mime_type, row.file_type, key, bytes.length, sha256, row.damaged_at],
  );
  return { id: file!.id, sha256, etag: `"sha256-${sha256}"`, path: path.join(root, key) };
}

async function send(
  file: { id: number },
  options: { method?: string; headers?: Record<string, string>; query?: string } = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }> {
  const request = http.request({
    port,
    host: '127.0.0.1',
    path: `/files/${file.id}${options.query ?? ''}`,
    method: options.method ?? 'GET',
    headers: options.headers ?? {},
    agent: false,
  });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode!, headers: response.headers, body: await bodyOf(response) };
}

async function eventually(check: () => void): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return check();
    } catch (error) {
      if (attempt === 500) throw error;
      await sleep(10);
    }
  }
}

describe('a download', () => {
  it.each([
    0,
    1,
    SMALL_BYTES - 1,
    SMALL_BYTES,
    SMALL_BYTES + 1,
    LARGE_BYTES,
    LARGE_BYTES + 1,
    5 * LARGE_BYTES + 17,
  ])('gives %d bytes back as they were', async (size) => {
    const bytes = randomBytes(size);
    const file = await store(bytes);
    const before = (await metrics.registry.getSingleMetric('varve_download_bytes_total')!.get())
      .values[0]!.value;
    const answer = await send(file);
    expect(answer.status).toBe(200);
    expect(answer.body.equals(bytes)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-length': String(size),
      'content-type': 'text/csv',
      'content-disposition': `attachment; filename=file-${file.id}.csv`,
      'accept-ranges': 'bytes',
      'cache-control': 'private, no-cache',
      etag: file.etag,
      'repr-digest': `sha-256=:${Buffer.from(file.sha256, 'hex').toString('base64')}:`,
    });
    expect(answer.headers['transfer-encoding']).toBeUndefined();
    const metric = await metrics.registry.getSingleMetric('varve_download_bytes_total')!.get();
    expect(metric.values[0]!.value - before).toBe(size);
  });

  it('is cacheable for ever where the URL can only mean this content', async () => {
    const file = await store(randomBytes(10));
    const answer = await send(file, { query: '?immutable=true&name=%E6%B3%A2.txt' });
    expect(answer.headers['cache-control']).toBe('private, max-age=31536000, immutable');
    expect(answer.headers['content-disposition']).toBe(
      'attachment; filename="?.txt"; filename*=UTF-8\'\'%E6%B3%A2.txt',
    );
  });

  it('goes on over one connection, with many at once and fewer buffers than they want', async () => {
    const bytes = randomBytes(3 * LARGE_BYTES + 1);
    const file = await store(bytes);
    const answers = await Promise.all(Array.from({ length: 12 }, () => send(file)));
    for (const answer of answers) expect(answer.body.equals(bytes)).toBe(true);
  });

  it('answers requests that were sent ahead on one connection, each with its own content', async () => {
    const files = await Promise.all([1, 2, 3].map(() => store(randomBytes(2 * LARGE_BYTES))));
    const socket = connect(port, '127.0.0.1');
    const requests = files.map(
      ({ id }, i) =>
        `GET /files/${id} HTTP/1.1\r\nHost: a\r\n${i === 2 ? 'Connection: close\r\n' : ''}\r\n`,
    );
    socket.write(requests.join(''));
    const all = await bodyOf(socket);
    const digests = all
      .toString('latin1')
      .split('HTTP/1.1 200 OK\r\n')
      .slice(1)
      .map((answer) => Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1'))
      .map((body) => createHash('sha256').update(body).digest('hex'));
    expect(digests).toEqual(files.map(({ sha256 }) => sha256));
  });

  it('names a file after its id, without a type where it has none', async () => {
    const file = await store(randomBytes(10), { file_type: null });
    const answer = await send(file);
    expect(answer.headers['content-disposition']).toBe(`attachment; filename=file-${file.id}`);
  });
});

describe('a range', () => {
  const bytes = randomBytes(3 * LARGE_BYTES);
  let file: Stored;
  beforeAll(async () => {
    file = await store(bytes);
  });

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=5-104', 5, 105],
    [`bytes=10-${2 * LARGE_BYTES}`, 10, 2 * LARGE_BYTES + 1],
    [`bytes=${bytes.length - 1}-`, bytes.length - 1, bytes.length],
    ['bytes=-7', bytes.length - 7, bytes.length],
    [`bytes=-${9 * bytes.length}`, 0, bytes.length],
  ])('%s is answered with just that', async (range, start, end) => {
    const answer = await send(file, { headers: { range } });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${start}-${end - 1}/${bytes.length}`);
    expect(answer.headers['content-length']).toBe(String(end - start));
    expect(answer.body.equals(bytes.subarray(start, end))).toBe(true);
  });

  it.each([`bytes=${bytes.length}-`, 'bytes=-0'])('%s is refused with the size', async (range) => {
    const answer = await send(file, { headers: { range } });
    expect(answer.status).toBe(416);
    expect(answer.headers['content-range']).toBe(`bytes */${bytes.length}`);
  });

  it.each(['bytes=0-1,5-6', 'bytes=9-1', 'nonsense'])('%s is ignored', async (range) => {
    const answer = await send(file, { headers: { range } });
    expect([answer.status, answer.body.length]).toEqual([200, bytes.length]);
  });

  it('applies with If-Range only to the content that the sender has a part of', async () => {
    const range = 'bytes=0-9';
    const same = await send(file, { headers: { range, 'if-range': file.etag } });
    expect([same.status, same.body.length]).toEqual([206, 10]);
    for (const other of ['"other"', `W/${file.etag}`, 'Fri, 20 Nov 2026 10:00:00 GMT']) {
      const whole = await send(file, { headers: { range, 'if-range': other } });
      expect([whole.status, whole.body.length]).toEqual([200, bytes.length]);
    }
  });

  it('means nothing to HEAD, which says what a GET of the whole would', async () => {
    const answer = await send(file, { method: 'HEAD', headers: { range: 'bytes=0-9' } });
    expect([answer.status, answer.body.length]).toEqual([200, 0]);
    const get = await send(file);
    expect({ ...answer.headers, date: '' }).toEqual({ ...get.headers, date: '' });
  });
});

describe('a condition', () => {
  it('answers 304 without a body to who has the content', async () => {
    const file = await store(randomBytes(100));
    for (const method of ['GET', 'HEAD']) {
      const answer = await send(file, { method, headers: { 'if-none-match': file.etag } });
      expect([answer.status, answer.body.length]).toEqual([304, 0]);
      expect(answer.headers).toMatchObject({ etag: file.etag, 'cache-control': expect.anything() });
      expect(answer.headers['content-type']).toBeUndefined();
    }
  });

  it('answers 412 where other content is asked for', async () => {
    const file = await store(randomBytes(100));
    const answer = await send(file, { headers: { 'if-match': '"other"' } });
    expect([answer.status, JSON.parse(answer.body.toString())]).toEqual([
      412,
      { code: 'precondition-failed' },
    ]);
    expect((await send(file, { headers: { 'if-match': file.etag } })).status).toBe(200);
  });
});

describe('bytes that are not what the row promises', () => {
  it('are not served once the file is known to be damaged', async () => {
    const file = await store(randomBytes(100), { damaged_at: new Date() });
    for (const headers of [{}, { 'if-none-match': file.etag }, { range: 'bytes=0-1' }]) {
      const answer = await send(file, { headers: headers as Record<string, string> });
      expect(answer.status).toBe(409);
      expect(answer.headers.etag).not.toBe(file.etag);
    }
  });

  it('are refused when they are missing', async () => {
    const file = await store(randomBytes(100));
    await unlink(file.path);
    expect((await send(file)).status).toBe(409);
  });

  it('are a missing file when the row has gone as well', async () => {
    const file = await store(randomBytes(100));
    await unlink(file.path);
    const opening = backend.openReader.bind(backend);
    backend.openReader = async (key) => {
      await dataSource.query('DELETE FROM files WHERE id = $1', [file.id]);
      return opening(key);
    };
    try {
      expect((await send(file)).status).toBe(404);
    } finally {
      backend.openReader = opening;
    }
    expect((await send({ id: 2 ** 31 - 1 })).status).toBe(404);
  });

  it('are refused when they end before the first of the range', async () => {
    const file = await store(randomBytes(200_000));
    await truncate(file.path, 10);
    expect((await send(file, { headers: { range: 'bytes=5-20' } })).status).toBe(409);
    expect((await send(file, { headers: { range: 'bytes=0-9' } })).status).toBe(206);
  });

  it('break the connection when they end half-way: a short body never passes for a whole', async () => {
    const file = await store(randomBytes(4 * LARGE_BYTES));
    await truncate(file.path, 3 * LARGE_BYTES);
    await expect(send(file)).rejects.toThrow(/aborted|ECONNRESET|hang up/);
  });

  it('break the connection when the disk fails half-way, and are an error when at once', async () => {
    const file = await store(randomBytes(4 * LARGE_BYTES));
    backend.failAt = LARGE_BYTES;
    await expect(send(file)).rejects.toThrow(/aborted|ECONNRESET|hang up/);
    backend.failAt = 0;
    expect((await send(file)).status).toBe(500);
  });
});

describe('a client', () => {
  const bytes = randomBytes(64 * LARGE_BYTES);
  let file: Stored;
  beforeAll(async () => {
    file = await store(bytes);
  });

  /** Asks for the file and reads nothing of the answer after its first bytes. */
  async function stall() {
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET /files/${file.id} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await once(socket, 'readable');
    socket.read();
    return socket;
  }

  it('that goes away leaves neither an open object nor a buffer behind', async () => {
    const sockets = await Promise.all(Array.from({ length: 5 }, stall));
    // The fifth finds no large buffers left and goes on with small ones.
    expect([backend.openReaders > 0, buffers.lent]).toEqual([true, 4]);
    for (const socket of sockets) socket.destroy();
    await eventually(() => expect([backend.openReaders, buffers.lent]).toEqual([0, 0]));
    expect((await send(file)).body.equals(bytes)).toBe(true);
  });

  it('that has gone before the answer begins costs nothing', async () => {
    const opening = backend.openReader.bind(backend);
    const socket = connect(port, '127.0.0.1');
    const ended = new Promise<void>((resolve) => {
      backend.openReader = async (key) => {
        socket.destroy();
        await sleep(50);
        const reader = await opening(key);
        return {
          read: (buffer, position) => reader.read(buffer, position),
          close: () => reader.close().finally(resolve),
        };
      };
    });
    socket.write(`GET /files/${file.id} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await ended;
    backend.openReader = opening;
  });

  it('that takes nothing for too long is cut off', async () => {
    const idle = Reflect.get(responder, 'stallLimitMs') as number;
    Object.assign(responder, { stallLimitMs: 200 });
    try {
      const socket = await stall();
      await eventually(() => expect([backend.openReaders, buffers.lent]).toEqual([0, 0]));
      socket.destroy();
    } finally {
      Object.assign(responder, { stallLimitMs: idle });
    }
  });
});

it('tells a holder what it said of the content, not what somebody before it did', async () => {
  const file = await store(randomBytes(10), { mime_type: 'text/csv' });
  const [user] = await dataSource.query<{ id: number }[]>(
    `INSERT INTO users (name, role) VALUES ('holder', 'member') RETURNING id`,
  );
  await dataSource.query(
    `INSERT INTO upload_holds (file_id, user_id, mime_type, file_type, metadata, expires_at)
     VALUES ($1, $2, 'text/plain', 'txt', '{"name": "notes.txt"}', now() + interval '1 hour')`,
    [file.id, user!.id],
  );
  const headers: Record<string, unknown> = {};
  const request = { headers: {}, method: 'HEAD', principal: { userId: user!.id } };
  const response = {
    writeHead: (_: number, sent: object) => (Object.assign(headers, sent), response),
    end: () => undefined,
  };
  await responder.respond(
    request as unknown as express.Request,
    response as unknown as express.Response,
    file.id as FileId,
    { downloadName: null, immutable: true },
  );
  expect(headers).toMatchObject({
    'Content-Type': 'text/plain',
    'Content-Disposition': 'attachment; filename=notes.txt',
  });
});
