import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { openDatabase } from './open-database.js';

describe('openDatabase with an outside server', () => {
  let database: TestDatabase;
  const told: string[] = [];
  const tell = (message: string) => void told.push(message);
  const log = { info: tell, warn: tell, error: tell };

  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());

  const open = (change: Partial<URL>, waitMs?: number) => {
    const url = Object.assign(new URL(database.url), change).href;
    return openDatabase({ DATABASE_URL: url, DATA_DIR: '/nowhere' }, log, waitMs);
  };

  async function listen(server: Server, port = 0): Promise<number> {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  async function close(server: Server): Promise<void> {
    server.close();
    await once(server, 'close');
  }

  it('finds it migrated or migrates it, and leaves it running', async () => {
    const opened = await open({});
    expect(opened).toMatchObject({ url: database.url, embedded: false });
    await opened.close();
    await (await database.open()).query('SELECT 1 FROM users');
  });

  it('waits for one that is still starting', async () => {
    const { hostname, port } = new URL(database.url);
    const reserved = createServer();
    const proxyPort = await listen(reserved);
    await close(reserved);
    const opening = open({ port: String(proxyPort) });
    while (!told.some((line) => line.startsWith('Waiting for the database'))) {
      await new Promise(setImmediate);
    }
    const proxy = createServer((socket) => {
      const server = connect(Number(port), hostname);
      socket.on('error', () => server.destroy());
      server.on('error', () => socket.destroy());
      socket.pipe(server).pipe(socket);
    });
    await listen(proxy, proxyPort);
    expect(await opening).toMatchObject({ embedded: false });
    await close(proxy);
  });

  it('does not wait for ever, nor at all where waiting cannot help', async () => {
    const reserved = createServer();
    const port = await listen(reserved);
    await close(reserved);
    await expect(open({ port: String(port) }, 500)).rejects.toThrow('ECONNREFUSED');
    await expect(open({ password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
    await expect(open({ pathname: '/nothing' })).rejects.toMatchObject({ code: '3D000' });
  });
});
