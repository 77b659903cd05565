import { describe, expect, it } from '@jest/globals';
import type { Reader, UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { VersionEntry, VersionReader, VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, Sha256, UserId, VersionId } from '../core/ids.js';
import { readDocument, type DocumentPart } from './dataset-document.js';
import { DatasetExport } from './dataset-export.js';
import type { DatasetDetails } from './datasets.repository.js';

type Overlay = Awaited<ReturnType<VersionReader['overlay']>>;

const dataset = {
  id: 4 as DatasetId,
  name: 'ice "1"',
  description: 'daily\n',
  metadata: { a: [1] },
  tags: ['x', 'y'],
  ownerName: 'ada',
  defaultBranch: 'main',
  createdAt: new Date('2026-03-01T00:00:00Z'),
  updatedAt: new Date('2026-03-02T00:00:00Z'),
} as unknown as DatasetDetails;

const put = (path: string, metadata: VersionEntry['metadata'] = null): Overlay[number] => ({
  path,
  entry: { path, sha256: 'a'.repeat(64) as Sha256, sizeBytes: 7, metadata } as VersionEntry,
});

/** A history whose versions have these overlays; it counts how often it is read. */
function aHistory(overlays: Overlay[]): { exporting: DatasetExport; reads: () => number } {
  let reads = 0;
  const versions = overlays.map(
    (_, index) =>
      ({
        id: (100 + index) as VersionId,
        versionNumber: index + 1,
        parentId: index === 0 ? null : ((99 + index) as VersionId),
        message: `version ${index + 1}`,
        createdBy: (index % 2) as UserId,
        committedAt: new Date('2026-03-02T00:00:00Z'),
        digest: 'd'.repeat(64) as Sha256,
      }) as VersionRecord,
  );
  const versionReader: Pick<VersionReader, 'list' | 'overlay'> = {
    list: (_, __, { after = 0, limit }) => {
      reads += 1;
      return Promise.resolve(versions.slice(after, after + limit));
    },
    overlay: (_, version, { after = null, limit }) => {
      reads += 1;
      const overlay = overlays[version - 100] ?? [];
      const start = after === null ? 0 : overlay.findIndex(({ path }) => path === after) + 1;
      return Promise.resolve(overlay.slice(start, start + limit));
    },
  };
  // Of the two authors one has been forgotten.
  const reader = { query: () => Promise.resolve([{ id: 0, name: 'ada' }]) } as unknown as Reader;
  const unitOfWork: Pick<UnitOfWork, 'read'> = { read: (work) => work(reader) };
  return {
    exporting: new DatasetExport(unitOfWork as UnitOfWork, versionReader as VersionReader),
    reads: () => reads,
  };
}

async function textOf(pieces: AsyncIterable<string>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

describe('DatasetExport', () => {
  it('writes the dataset down, without its versions unless asked for', async () => {
    const { exporting, reads } = aHistory([[put('a')]]);
    expect(JSON.parse(await textOf(exporting.document(dataset, false)))).toEqual({
      format: 'varve-dataset/1',
      dataset: {
        name: 'ice "1"',
        description: 'daily\n',
        metadata: { a: [1] },
        tags: ['x', 'y'],
        owner: 'ada',
        defaultBranch: 'main',
        createdAt: '2026-03-01T00:00:00.000Z',
        updatedAt: '2026-03-02T00:00:00.000Z',
      },
    });
    expect(reads()).toBe(0);
  });

  it('writes down what each version changes', async () => {
    const { exporting } = aHistory([
      [put('a', { rows: 3 }), put('b')],
      [{ path: 'a', entry: null }],
    ]);
    const document = JSON.parse(await textOf(exporting.document(dataset, true))) as {
      versions: unknown[];
    };
    const sha256 = 'a'.repeat(64);
    expect(document.versions).toEqual([
      {
        number: 1,
        parent: null,
        message: 'version 1',
        author: 'ada',
        committedAt: '2026-03-02T00:00:00.000Z',
        digest: 'd'.repeat(64),
        operations: [
          { path: 'a', sha256, sizeBytes: 7, metadata: { rows: 3 } },
          { path: 'b', sha256, sizeBytes: 7 },
        ],
      },
      expect.objectContaining({
        number: 2,
        parent: 1,
        author: null,
        operations: [{ path: 'a', removed: true }],
      }),
    ]);
  });

  it('is valid JSON for a dataset without versions', async () => {
    const { exporting } = aHistory([]);
    expect(JSON.parse(await textOf(exporting.document(dataset, true)))).toMatchObject({
      versions: [],
    });
  });

  it('writes pages that fit together, and that an import reads again', async () => {
    const long = Array.from({ length: 2000 }, (_, index) => put(`p${index}`));
    const overlays = Array.from({ length: 200 }, (_, index) =>
      index === 3 ? long : [put(`v${index}`)],
    );
    const { exporting } = aHistory(overlays);
    const parts: DocumentPart[] = [];
    const bytes = (async function* () {
      for await (const piece of exporting.document(dataset, true)) yield Buffer.from(piece);
    })();
    for await (const part of readDocument(bytes)) parts.push(part);
    const versions = parts.flatMap((part) => (part.kind === 'version' ? [part.value] : []));
    expect(versions.map(({ number }) => number)).toEqual(overlays.map((_, index) => index + 1));
    expect(versions.map(({ parent }) => parent)).toEqual(overlays.map((_, index) => index || null));
    expect(versions.map(({ operations }) => operations.map(({ path }) => path))).toEqual(
      overlays.map((overlay) => overlay.map(({ path }) => path)),
    );
  });

  it('reads on only as its receiver takes what it wrote', async () => {
    const { exporting, reads } = aHistory(Array.from({ length: 1000 }, () => [put('a')]));
    const pieces = exporting.document(dataset, true);
    for (let taken = 0; taken < 10; taken += 1) await pieces.next();
    expect(reads()).toBeLessThan(10);
  });
});
