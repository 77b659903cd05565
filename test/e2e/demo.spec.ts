import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FileEntry } from '../../scripts/demo/api.js';
import { changesBetween } from '../../scripts/demo/changes.js';
import { startApp, type TestApp } from '../app.js';

let server: TestApp;
/** Passes everything on, but turns a bit of one file that comes back. */
let tampering: Server;

beforeAll(async () => {
  server = await startApp();
  tampering = createServer((req, res) => {
    const { url: path, method, headers } = req;
    req.pipe(
      request(`${server.url}${path}`, { method, headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.on('data', (chunk: Buffer) => {
          if (path?.includes('content?path=cars.json')) chunk[0] = (chunk[0] ?? 0) ^ 1;
          res.write(chunk);
        });
        answer.on('end', () => res.end());
      }),
    );
  });
  await new Promise<void>((resolve) => tampering.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  tampering.closeAllConnections();
  tampering.close();
  await server.close();
});

async function runDemo(url: string, token: string): Promise<{ code: number; output: string }> {
  const child = spawn(
    process.execPath,
    ['--import', './test/typescript.mjs', 'scripts/demo.ts', '--url', url, '--token', token],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const code = await new Promise<number>((resolve) => child.once('close', resolve));
  return { code, output };
}

describe('npm run demo', () => {
  it('does the main job on a running server, in plain text for a pipe, and cleans up', async () => {
    const { code, output } = await runDemo(server.url, server.admin.token);
    expect(output).toContain('Everything came back as it went in');
    expect(output).toContain('flights-3m.parquet is file');
    expect(output).not.toContain('\x1b');
    expect(code).toBe(0);
    const { data } = await server.admin.api.GET('/api/v1/datasets');
    expect(data?.items).toEqual([]);
  });

  it('fails when one bit does not come back as it went in', async () => {
    const { port } = tampering.address() as AddressInfo;
    const { code, output } = await runDemo(`http://127.0.0.1:${port}`, server.admin.token);
    expect(output).toMatch(/✗ +cars\.json .* NOT THE SAME/);
    expect(code).toBe(1);
  });

  it('says why it cannot go on, and fails', async () => {
    const { code, output } = await runDemo(server.url, 'no-such-key-at-all');
    expect(output).toContain('✗ 401');
    expect(code).toBe(1);
  });
});

describe('what the demo says of two versions', () => {
  const file = (path: string, sha256: string): FileEntry => ({
    path,
    sha256,
    fileId: 1,
    sizeBytes: 1,
    fileType: null,
    mimeType: 'text/plain',
    metadata: null,
  });
  const told = (before: FileEntry[], after: FileEntry[]): string[] =>
    changesBetween(before, after).map((change) =>
      [change.kind, change.kind === 'renamed' ? `${change.from}:${change.path}` : change.path].join(
        ' ',
      ),
    );

  it('tells apart what was added, changed, renamed and removed', () => {
    const before = [
      file('same', '0'),
      file('new content', '1'),
      file('old', '2'),
      file('gone', '3'),
    ];
    const after = [
      file('same', '0'),
      file('new content', '9'),
      file('new', '2'),
      file('more', '4'),
    ];
    expect(told(before, after)).toEqual([
      'changed new content',
      'renamed old:new',
      'added more',
      'removed gone',
    ]);
  });

  it('calls a copy added, and one of two copies renamed', () => {
    expect(told([file('a', '1')], [file('a', '1'), file('b', '1')])).toEqual(['added b']);
    expect(told([file('a', '1')], [file('b', '1'), file('c', '1')])).toEqual([
      'renamed a:b',
      'added c',
    ]);
  });
});
