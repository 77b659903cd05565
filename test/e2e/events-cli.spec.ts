import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';

const FROM_THE_START = ['tail', 'dataset.**', '--after', '0-0'];

let server: TestApp;

beforeAll(async () => {
  server = await startApp();
});
afterAll(() => server.close());

const tail = (key: string, args: string[], environment: Record<string, string> = {}) => {
  const child = spawn(process.execPath, ['dist/scripts/events.js', ...args], {
    env: { PATH: process.env['PATH'], VARVE_KEY: key, VARVE_URL: server.url, ...environment },
  });
  const output = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()));
  return { child, output, exited: once(child, 'exit') };
};

describe('npm run events', () => {
  it('tails the stream from a cursor, as NDJSON in a pipe', async () => {
    await server.admin.api.POST('/api/v1/datasets', { body: { name: 'told' } });
    const { child, output, exited } = tail(server.admin.token, FROM_THE_START);
    await eventually(() => expect(output.out.endsWith('\n')).toBe(true));
    expect(JSON.parse(output.out.split('\n')[0]!)).toMatchObject({
      type: 'dataset.created',
      data: { name: 'told' },
    });
    child.kill();
    await exited;
  });

  it.each([
    ['with colours where they are wanted', {}, true],
    ['without where they are not', { NO_COLOR: '1' }, false],
  ])('prints a line for people, %s', async (_, environment, hasColours) => {
    const { child, output, exited } = tail(server.admin.token, FROM_THE_START, {
      FORCE_COLOR: '1',
      ...environment,
    });
    await eventually(() => expect(output.out.endsWith('\n')).toBe(true));
    const type = hasColours ? '\u001b[36mdataset.created\u001b[39m' : 'dataset.created';
    expect(output.out.split('\n')[0]).toContain(`  ${type}  `);
    expect(output.out.includes('\u001b')).toBe(hasColours);
    child.kill();
    await exited;
  });

  it.each([
    ['a wrong key', 'wrong-key', ['tail'], 1, '401'],
    ['no verb', 'any-key', [], 2, 'npm run events'],
  ])('says what is wrong with %s', async (_, key, args, code, text) => {
    const { output, exited } = tail(key, args);
    expect((await exited)[0]).toBe(code);
    expect(output.err).toContain(text);
  });
});
