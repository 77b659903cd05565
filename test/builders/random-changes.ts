import { Readable } from 'node:stream';
import {
  ARTIFACT_PRODUCER,
  type ArtifactProducer,
} from '../../src/core/contracts/artifact-producer.js';
import type { VersionOperation } from '../../src/core/contracts/versions.js';
import type { UserId } from '../../src/core/ids.js';
import type { Content } from '../../src/versioning/graph/overlay.js';
import type { TestApp } from '../app.js';
import type { Random, Snapshot } from './snapshot-model.js';

/** A content, and how large it is. */
export type SizedContent = Content & { readonly sizeBytes: number };

const SEGMENTS = ['a', 'b', 'B', 'é', 'e\u0301', '\ue000', '\u{1f98a}', ' ', '%2e', '"'];
const CONTENTS = 14;

/** No more paths than this: beyond, changes remove and move. */
const MANY_PATHS = 40;

/** Uploads contents, of which two each have the same bytes and other metadata. */
export async function uploadContents(server: TestApp): Promise<SizedContent[]> {
  const producer = server.app.get<ArtifactProducer>(ARTIFACT_PRODUCER, { strict: false });
  const contents: SizedContent[] = [];
  for (let i = 0; i < CONTENTS; i++) {
    const text = `content ${Math.floor(i / 2)}`.repeat(i + 1 - (i % 2));
    const { fileId, sizeBytes } = await producer.createArtifact(
      { stream: Readable.from([Buffer.from(text)]), mimeType: 'text/plain', fileType: 'txt' },
      { holder: server.admin.id as UserId },
    );
    contents.push({ fileId, sizeBytes, metadata: i % 2 === 0 ? null : { i } });
  }
  return contents;
}

/** Random paths, contents and changes, for snapshots that know contents by their numbers. */
export class RandomChanges {
  constructor(
    readonly contents: readonly SizedContent[],
    private readonly random: Random,
  ) {}

  /** A path that may or may not be there. */
  aPath(): string {
    const depth = 1 + this.random.below(3);
    return Array.from({ length: depth }, () => this.random.pick(SEGMENTS)).join('/');
  }

  aContent(): number {
    return this.random.below(this.contents.length);
  }

  numberOf(content: Pick<Content, 'fileId' | 'metadata'>): number {
    return this.contents.findIndex(
      ({ fileId, metadata }) =>
        fileId === content.fileId && JSON.stringify(metadata) === JSON.stringify(content.metadata),
    );
  }

  content(number: number): SizedContent {
    return this.contents[number] as SizedContent;
  }

  aPut(): VersionOperation {
    return this.#put(this.aPath(), this.aContent());
  }

  /** Random operations on a snapshot, and what they make of it. */
  on(before: Snapshot, most: number): { operations: VersionOperation[]; after: Snapshot } {
    const after = new Map(before);
    const operations: VersionOperation[] = [];
    for (let i = this.random.below(most); i >= 0; i--) {
      const kind = after.size > MANY_PATHS ? 1 + this.random.below(2) : this.random.below(5);
      if (kind === 1 && after.size > 0) {
        const path = this.random.pick(after.keys());
        after.delete(path);
        operations.push({ op: 'remove', path });
      } else if (kind === 2 && after.size > 0) {
        const [from, path] = [this.random.pick(after.keys()), this.aPath()];
        if (after.has(path)) continue;
        after.set(path, after.get(from) as number);
        after.delete(from);
        operations.push({ op: 'move', from, path });
      } else {
        const [path, content] = [this.aPath(), this.aContent()];
        after.set(path, content);
        operations.push(this.#put(path, content));
      }
    }
    return { operations, after };
  }

  /** What operations make of a snapshot. */
  applied(operations: readonly VersionOperation[], before: Snapshot): Map<string, number> {
    const after = new Map(before);
    for (const operation of operations) {
      if (operation.op === 'put') {
        const { fileId, metadata = null } = operation;
        after.set(operation.path, this.numberOf({ fileId, metadata }));
      } else {
        const from = operation.op === 'move' ? operation.from : operation.path;
        const content = after.get(from);
        after.delete(from);
        if (operation.op === 'move') after.set(operation.path, content as number);
      }
    }
    return after;
  }

  #put(path: string, content: number): VersionOperation {
    const { fileId, metadata } = this.content(content);
    return { op: 'put', path, fileId, metadata };
  }
}
