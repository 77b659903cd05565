import { Inject, Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import {
  ARTIFACT_PRODUCER,
  type ArtifactProducer,
  type StagedArtifact,
} from '../core/contracts/artifact-producer.js';
import type { Tx } from '../core/contracts/unit-of-work.js';
import {
  OVERLAY_MEDIA_TYPE,
  overlayDocument,
  type OverlayEntry,
  type OverlayHeader,
} from './graph/document.js';
import type { ChangedEntry, StoredDocument } from './version-insert.js';

const ABOUT = { fileType: 'json', mimeType: OVERLAY_MEDIA_TYPE };

/** Stores overlay documents; the SHA-256 of one is its version's digest. */
@Injectable()
export class OverlayDocuments {
  constructor(@Inject(ARTIFACT_PRODUCER) private readonly artifacts: ArtifactProducer) {}

  /**
   * Writes a version's document and stores it, however many entries it has. The version's reference
   * to it is counted.
   * @param entries in path order
   * @param use stores what names the document, while the disk takes it
   */
  async store<T extends object>(
    tx: Tx,
    header: OverlayHeader,
    entries: AsyncIterable<ChangedEntry>,
    use: (document: StoredDocument) => Promise<T>,
  ): Promise<T> {
    const staged = await this.#stage(overlayDocument(header, documentEntries(entries)));
    tx.afterRollback(() => void this.artifacts.discard([staged]));
    const results: T[] = [];
    await this.artifacts.register(tx, [staged], {
      holder: null,
      isReferredTo: true,
      isInternal: true,
      meanwhile: async ([document]) => {
        if (document) results.push(await use({ fileId: document.fileId, digest: document.sha256 }));
      },
    });
    const [result] = results;
    if (result === undefined) throw new Error('An overlay document was not stored');
    return result;
  }

  /** Most documents are one piece: synced together with the directory that they end up in. */
  async #stage(pieces: AsyncGenerator<string, void>): Promise<StagedArtifact> {
    const first = (await pieces.next()).value ?? '';
    const second = await pieces.next();
    if (!second.done) {
      const stream = Readable.from(chain([first, second.value], pieces));
      return this.artifacts.stage({ stream, ...ABOUT });
    }
    const [staged] = await this.artifacts.stageAll([{ content: Buffer.from(first), ...ABOUT }]);
    if (!staged) throw new Error('An overlay document was not staged');
    return staged;
  }
}

async function* chain(
  start: readonly string[],
  rest: AsyncIterable<string>,
): AsyncGenerator<string> {
  yield* start;
  yield* rest;
}

async function* documentEntries(
  entries: AsyncIterable<ChangedEntry>,
): AsyncGenerator<OverlayEntry> {
  for await (const { path, entry } of entries) yield entry ?? { path, removed: true };
}
