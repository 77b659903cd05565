import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, get, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PinoLogger } from 'nestjs-pino';
import { PassThrough } from 'node:stream';
import { RequestContext } from './request-context.js';
import { RequestLog } from './request-log.js';

describe('RequestLog', () => {
  const lines = new PassThrough({ encoding: 'utf8' });
  const log = new RequestLog(new PinoLogger({ pinoHttp: [{ level: 'info' }, lines] }));
  let server: Server;
  let url: string;
  let answer: (res: ServerResponse) => void;

  beforeEach(async () => {
    server = createServer((req, res) => {
      RequestContext.middleware(req, res, () => log.middleware(req, res, () => answer(res)));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => void server.close());

  const nextLine = async () => {
    const [text] = (await once(lines, 'data')) as [string];
    return JSON.parse(text) as Record<string, unknown>;
  };

  it('tells what was asked and answered under the id, and nothing of the query', async () => {
    answer = (res) => res.writeHead(201).end();
    const line = nextLine();
    await fetch(`${url}/files?name=secret.csv`, { headers: { 'X-Request-Id': 'order-42' } });
    expect(await line).toMatchObject({
      level: 30,
      msg: 'request completed',
      requestId: 'order-42',
      method: 'GET',
      path: '/files',
      status: 201,
      durationMs: expect.any(Number),
    });
  });

  it('tells of what the server could not do as an error', async () => {
    answer = (res) => res.writeHead(503).end();
    const line = nextLine();
    await fetch(url);
    expect(await line).toMatchObject({ level: 50, msg: 'request failed', status: 503 });
  });

  it('tells of an answer that its receiver has not waited for', async () => {
    const line = nextLine();
    const request = get(url).on('error', () => undefined);
    answer = () => request.destroy();
    expect(await line).toMatchObject({ level: 30, msg: 'request aborted' });
  });
});
