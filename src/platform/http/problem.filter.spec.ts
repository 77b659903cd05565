import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger, type ArgumentsHost } from '@nestjs/common';
import express, { type Request, type Response } from 'express';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ProblemFilter } from './problem.filter.js';

describe('ProblemFilter, once part of an answer is out', () => {
  let server: Server;
  let logged: jest.SpiedFunction<Logger['error']>;
  /** Settles when the filter has been given what went wrong. */
  let filtered: Promise<unknown>;

  /** Serves a body that has no end by itself, but may break. */
  const serve = async (breaks: boolean): Promise<string> => {
    const filter = new ProblemFilter();
    const app = express();
    filtered = new Promise((resolve) => {
      app.get('/', async (req: Request, res: Response) => {
        const body = async function* () {
          for (let pieces = 0; ; pieces += 1) {
            yield 'x'.repeat(64 * 1024);
            if (breaks && pieces === 3) throw new Error('the disk is gone');
          }
        };
        await pipeline(Readable.from(body()), res).catch((error: unknown) => {
          const http = { getRequest: () => req, getResponse: () => res };
          filter.catch(error, { switchToHttp: () => http } as unknown as ArgumentsHost);
          resolve(error);
        });
      });
    });
    server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  };

  beforeEach(() => {
    logged = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  });
  afterEach(() => {
    logged.mockRestore();
    server.closeAllConnections();
    server.close();
  });

  it('does not log a receiver that leaves', async () => {
    const url = await serve(false);
    const [response] = (await once(get(url), 'response')) as [IncomingMessage];
    await once(response, 'data');
    response.destroy();
    await filtered;
    expect(logged).not.toHaveBeenCalled();
  });

  it('logs what broke the body, and breaks the connection so that nobody takes it for whole', async () => {
    const url = await serve(true);
    const [response] = (await once(get(url), 'response')) as [IncomingMessage];
    response.resume();
    await expect(once(response, 'end')).rejects.toThrow('aborted');
    expect(await filtered).toMatchObject({ message: 'the disk is gone' });
    expect(logged).toHaveBeenCalledTimes(1);
  });
});
