import { afterEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BATCH_BYTES, BatchPool } from './batch-pool.js';
import { BodyReader } from './body-reader.js';

const MIB = 1024 * 1024;

describe('reading the body of a request', () => {
  let server: Server;

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  /** What `receive` gives for a request that is sent with this body. */
  async function received<T>(
    body: Buffer,
    receive: (req: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    const outcome = Promise.withResolvers<T>();
    server = createServer((req, res) => {
      receive(req)
        .then(outcome.resolve, outcome.reject)
        .finally(() => res.end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const sending = request({ port, host: '127.0.0.1', method: 'POST' });
    sending.on('response', (res) => res.resume());
    sending.end(body);
    return outcome.promise;
  }

  /** Reads everything, taking `turns` of the event loop for each batch. */
  async function readAll(req: IncomingMessage, headBytes: number, turns: number): Promise<Buffer> {
    const reader = new BodyReader(req);
    const head = await reader.head(headBytes);
    if (head.isWhole) return Buffer.concat(head.chunks);
    const batches: Buffer[] = [];
    await reader.batches(head.chunks, new BatchPool().lease(), async (batch, sizeBytes) => {
      batches.push(Buffer.from(batch.bytes.subarray(0, sizeBytes)));
      for (let turn = 0; turn < turns; turn++) await nextTurn();
    });
    return Buffer.concat(batches);
  }

  it.each([
    ['as fast as it comes', 0],
    ['while batches are slow to come back', 200],
  ])('gives every byte once and in order, %s', async (_, turns) => {
    const body = randomBytes(20 * MIB + 123);
    const read = await received(body, (req) => readAll(req, 256 * 1024, turns));
    expect(read.equals(body)).toBe(true);
  });

  it('gives back the memory of what it has copied', async () => {
    const seen: Buffer[] = [];
    await received(randomBytes(3 * BATCH_BYTES), async (req) => {
      const emit = req.emit.bind(req);
      req.emit = (event: string, ...args: unknown[]) => {
        if (event === 'data') seen.push(args[0] as Buffer);
        return emit(event, ...args);
      };
      return readAll(req, 0, 0);
    });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.map(({ length }) => length)).toEqual(seen.map(() => 0));
  });

  it('leaves alone what somebody else reads as well', async () => {
    const body = randomBytes(3 * MIB);
    const others: Buffer[] = [];
    await received(body, async (req) => {
      req.on('data', (chunk: Buffer) => others.push(chunk));
      return readAll(req, 0, 0);
    });
    expect(Buffer.concat(others).equals(body)).toBe(true);
  });
});
