import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Transform } from 'node:stream';
import {
  ObjectMissing,
  STORAGE_BACKEND,
  type StorageBackend,
} from '../../src/core/contracts/storage-backend.js';
import type { TestApp } from '../app.js';

type Open = StorageBackend['open'];

/**
 * A server's storage as one that lies elsewhere: nothing of it can be read in place, and every byte comes
 * over HTTP, with ranges. What is sent can be made to go wrong.
 */
export class RemoteStore {
  /** Which objects were asked for as a whole. */
  readonly fetched: string[] = [];
  /** After so many bytes of an object the connection is cut. */
  cutAfter = Infinity;
  /** A byte of each object is another one. */
  isLying = false;

  private constructor(
    private readonly server: Server,
    private readonly stored: Open,
  ) {}

  static async behind(app: TestApp): Promise<RemoteStore> {
    const backend = app.app.get<StorageBackend>(STORAGE_BACKEND, { strict: false });
    const server = createServer();
    const store = new RemoteStore(server, backend.open.bind(backend));
    server.on('request', (req: IncomingMessage, res) => {
      const { pathname } = new URL(req.url ?? '/', 'http://store');
      const key = decodeURIComponent(pathname.slice(1));
      const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '') ?? [];
      if (start === undefined) store.fetched.push(key);
      const range =
        start === undefined ? undefined : { start: Number(start), end: Number(last) + 1 };
      store.stored(key, range).then(
        (bytes) => {
          res.statusCode = range ? 206 : 200;
          // What is cut off in the middle closes the file as well.
          pipeline(
            bytes,
            store.damage(() => res.destroy()),
            res,
            () => undefined,
          );
        },
        () => {
          res.statusCode = 404;
          res.end();
        },
      );
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const open: Open = async (key, range) => {
      if (range && range.end <= range.start) return store.stored(key, range);
      const headers = range ? { Range: `bytes=${range.start}-${range.end - 1}` } : {};
      const url = `http://127.0.0.1:${port}/${encodeURIComponent(key)}`;
      const [answer] = (await once(get(url, { headers }), 'response')) as [IncomingMessage];
      if (answer.statusCode === 404) throw new ObjectMissing(key);
      return answer;
    };
    Object.assign(backend, { open, localPath: undefined });
    return store;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private damage(cut: () => void): Transform {
    let sent = 0;
    const { cutAfter, isLying } = this;
    return new Transform({
      transform(piece: Buffer, _, done) {
        const bytes = Buffer.from(piece);
        if (isLying && sent === 0) bytes[bytes.length - 1]! ^= 1;
        sent += bytes.length;
        if (sent <= cutAfter) return done(null, bytes);
        this.push(bytes.subarray(0, bytes.length - (sent - cutAfter)));
        setImmediate(cut);
      },
    });
  }
}
