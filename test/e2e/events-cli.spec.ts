import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';

let server: TestApp;

beforeAll(async () => {
  server = await startApp();
});
afterAll(() => server.close());

const tail = (key: string, ...args: string[]) => {
  const child = spawn(process.execPath, ['dist/scripts/events.js', ...args], {
    env: { PATH: process.env['PATH'], VARVE_KEY: key, VARVE_URL: server.url },
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()));
  return { child, output, exited: once(child, 'exit') };
};

describe('npm run events', () => {
  it('tails the stream from a cursor, as NDJSON in a pipe', async () => {
    await server.admin.api.POST('/api/v1/datasets', { body: { name: 'told' } });
    const { child, output, exited } = tail(
      server.admin.token,
      'tail',
      'dataset.**',
      '--after',
      '0-0',
    );
    await eventually(() => expect(output.out.endsWith('\n')).toBe(true));
    expect(JSON.parse(output.out.split('\n')[0]!)).toMatchObject({
      type: 'dataset.created',
      data: { name: 'told' },
    });
    child.kill();
    await exited;
  });

  it.each([
    ['a wrong key', 'wrong-key', ['tail'], 1, '401'],
    ['no verb', 'any-key', [], 2, 'npm run events'],
  ])('says what is wrong with %s', async (_, key, args, code, text) => {
    const { output, exited } = tail(key, ...args);
    expect((await exited)[0]).toBe(code);
    expect(output.err).toContain(text);
  });
});
