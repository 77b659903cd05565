import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import type { Sha256 } from '../../core/ids.js';
import { overlayDocument, type OverlayEntry, type OverlayHeader } from './document.js';

const header: OverlayHeader = {
  dataset: { id: 3, name: 'Käfer "2026"' },
  branch: 'main',
  number: 2,
  parents: ['ab'.repeat(32) as Sha256],
  author: { id: 1, name: 'ada' },
  time: '2026-11-20T10:00:00.000Z',
  message: 'line one\nline two \u2028 🦊',
  fileCount: 2,
  totalSizeBytes: 12,
};

async function written(of: OverlayHeader, entries: readonly OverlayEntry[]): Promise<string> {
  let text = '';
  for await (const piece of overlayDocument(of, entries)) text += piece;
  return text;
}

const entry = fc.oneof(
  fc.record({ path: fc.string({ unit: 'grapheme' }), removed: fc.constant(true as const) }),
  fc.record({
    path: fc.string({ unit: 'grapheme' }),
    sha256: fc.constant('cd'.repeat(32) as Sha256),
    sizeBytes: fc.nat(),
    mimeType: fc.constantFrom('text/csv', 'application/json'),
    fileType: fc.option(fc.constantFrom('csv', 'json')),
    metadata: fc.option(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.nat())),
  }),
);

describe('overlayDocument', () => {
  it('is canonical JSON, and says everything', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry),
        fc.string({ unit: 'grapheme' }),
        async (entries, message) => {
          const text = await written({ ...header, message }, entries);
          const parsed = JSON.parse(text) as Record<string, unknown> & { entries: unknown[] };
          expect(text).toBe(canonicalize(parsed));
          expect(parsed).toMatchObject({ $format: 'varve.version/1', ...header, message });
          expect(parsed.entries).toHaveLength(entries.length);
          entries.forEach((given, i) => {
            const said = parsed.entries[i] as Record<string, unknown>;
            expect(said.path).toBe(given.path);
            if ('removed' in given) expect(said).toEqual({ path: given.path, removed: true });
            else {
              expect(said.sha256).toBe(given.sha256);
              expect(said.size).toBe(given.sizeBytes);
              expect(said.metadata ?? null).toEqual(given.metadata && { ...given.metadata });
            }
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  it('begins with its format, by which it is known among other files', async () => {
    expect(await written(header, [])).toMatch(/^\{"\$format":"varve\.version\/1","author":/);
  });

  it('comes in pieces that do not grow with the number of entries', async () => {
    function* many(): Generator<OverlayEntry> {
      for (let i = 0; i < 50_000; i++) yield { path: `file-${i}`, removed: true };
    }
    let pieces = 0;
    for await (const piece of overlayDocument(header, many())) {
      pieces += 1;
      expect(piece.length).toBeLessThan(70_000);
    }
    expect(pieces).toBeGreaterThan(20);
  });
});
