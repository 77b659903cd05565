import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import type { Sha256 } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { NoOverlayDocument, readOverlayDocument } from './document-reader.js';
import { overlayDocument, type OverlayEntry, type OverlayHeader } from './document.js';

const header: OverlayHeader = {
  dataset: { id: 3, name: 'Käfer "],"fileCount":7' },
  branch: 'main',
  number: 2,
  parents: ['ab'.repeat(32) as Sha256],
  author: { id: 1, name: 'ada' },
  time: '2026-11-20T10:00:00.000Z',
  message: 'line one\nline two \u2028 🦊',
  fileCount: 2,
  totalSizeBytes: 12,
};

const text = fc.string({ unit: 'grapheme' });
const entry: fc.Arbitrary<OverlayEntry> = fc.oneof(
  fc.record({ path: text, removed: fc.constant(true as const) }),
  fc.record({
    path: text,
    sha256: fc.constant('cd'.repeat(32) as Sha256),
    sizeBytes: fc.nat(),
    mimeType: fc.constantFrom('text/csv', 'application/json'),
    fileType: fc.option(fc.constantFrom('csv', 'json')),
    metadata: fc.option(
      fc.constantFrom<JsonObject>({}, { a: [1], fileCount: 3 }, { path: { removed: true } }),
    ),
  }),
);

/** The document in pieces of a size, as a storage gives it. */
async function piecesOf(entries: readonly OverlayEntry[], size: number): Promise<Buffer[]> {
  let whole = '';
  for await (const piece of overlayDocument(header, entries)) whole += piece;
  return cut(whole, size);
}

function cut(whole: string, size: number): Buffer[] {
  const bytes = Buffer.from(whole);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

async function* streamed(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

describe('readOverlayDocument', () => {
  it('gives back what was written, however it comes in pieces, and its digest', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 12 }),
        fc.integer({ min: 1, max: 400 }),
        async (entries, size) => {
          const pieces = await piecesOf(entries, size);
          const read: OverlayEntry[] = [];
          const batches: number[] = [];
          const document = await readOverlayDocument(
            streamed(pieces),
            (batch) => {
              read.push(...batch);
              batches.push(batch.length);
            },
            3,
          );
          expect(read).toEqual(entries);
          expect(Math.max(0, ...batches)).toBeLessThanOrEqual(3);
          expect(document).toEqual({
            sha256: createHash('sha256').update(Buffer.concat(pieces)).digest('hex'),
            header,
            changes: entries.length,
          });
        },
      ),
    );
  });

  it('refuses what is none, and what is cut short', async () => {
    const whole = Buffer.concat(await piecesOf([{ path: 'a', removed: true }], 100)).toString();
    for (const other of [
      '',
      '{',
      'null',
      '[]',
      '{}',
      whole.slice(0, -1),
      whole.replace('varve.version/1', 'varve.version/2'),
      whole.replace('"number":2', '"number":"2"'),
      whole.replace('{"path":"a","removed":true}', '{"path":"a","sha256":"x"}'),
      whole.replace('{"path":"a","removed":true}', '{"path":1,"removed":true}'),
    ]) {
      await expect(readOverlayDocument(streamed(cut(other, 7)))).rejects.toThrow(NoOverlayDocument);
    }
  });

  it('leaves the errors of the storage, and of whoever takes the entries, as they are', async () => {
    const lost = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('{');
      throw new Error('the storage is away');
    };
    await expect(readOverlayDocument(lost())).rejects.toThrow('the storage is away');
    const pieces = await piecesOf([{ path: 'a', removed: true }], 100);
    const refuse = () => Promise.reject(new Error('the database is away'));
    await expect(readOverlayDocument(streamed(pieces), refuse)).rejects.toThrow(
      'the database is away',
    );
  });
});
