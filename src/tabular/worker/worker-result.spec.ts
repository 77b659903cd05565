import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { ResultPipe } from './result-pipe.js';
import { streamOf, type WorkerResult } from './worker-result.js';

/** No whole number of the ring's rounds. */
const BYTES = 5_000_003;

const WRITER = `
  const [from, to, blockBytes] = process.argv.slice(1);
  const content = fs.readFileSync(from);
  const pipe = fs.openSync(to, 'w');
  for (let at = 0; at < content.length; ) {
    at += fs.writeSync(pipe, content, at, Math.min(Number(blockBytes), content.length - at));
  }`;

let folder: string;
let content: Buffer;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'worker-result-'));
  content = randomBytes(BYTES);
  await writeFile(path.join(folder, 'content'), content);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A result that another process writes, in pieces of a size of its own. */
async function written(name: string, blockBytes: number): Promise<WorkerResult> {
  const pipe = await ResultPipe.make(path.join(folder, name));
  const result = await pipe.read(new Promise(() => undefined));
  const args = [path.join(folder, 'content'), pipe.path, String(blockBytes)];
  spawn(process.execPath, ['-e', WRITER, ...args], { stdio: 'ignore' });
  return result;
}

const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('a result out of a pipe', () => {
  it.each([511, 32_768, 1_000_000])('comes whole, written %i bytes at a time', async (block) => {
    const result = await written(`blocks-${block}`, block);
    const hash = createHash('sha256');
    for await (const piece of result.pieces()) hash.update(piece);
    expect(hash.digest('hex')).toBe(digest(content));
    expect(result.isAtEnd).toBe(true);
  });

  it('leaves a piece as it is until the reader asks for the next', async () => {
    const result = await written('slow', 100_000);
    const hash = createHash('sha256');
    for await (const piece of result.pieces()) {
      await sleep(5);
      hash.update(piece);
    }
    expect(hash.digest('hex')).toBe(digest(content));
  });

  it('is the reader’s own as a stream', async () => {
    const result = await written('stream', 100_000);
    expect(digest(await buffer(streamOf(result)))).toBe(digest(content));
  });

  it('tells its reader what it failed by, and that it has no end', async () => {
    const result = await written('failing', 32_768);
    await result.begun();
    expect(result.wasRead).toBe(false);
    const pieces = result.pieces();
    await pieces.next();
    result.destroy(new Error('the worker ended'));
    await expect(pieces.next()).rejects.toThrow('the worker ended');
    expect(result.wasRead).toBe(true);
    expect(result.isAtEnd).toBe(false);
  });
});
