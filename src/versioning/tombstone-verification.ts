import { Inject, Injectable } from '@nestjs/common';
import { JSONParser } from '@streamparser/json';
import canonicalize from 'canonicalize';
import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { FileId, Sha256, VersionId } from '../core/ids.js';
import type { ChangedEntry } from './version-insert.js';
import { entryText } from './graph/document.js';
import { parseRemovalRecord, sameTombstone, type Tombstone } from './graph/removal-record.js';
import { tombstonesOf } from './removals.js';
import { SqlVersionReader } from './version-reader.js';

/** What is wrong with what is left of a removed version. */
export type TombstoneFault =
  'removal-unrecorded' | 'document-unreadable' | 'document-altered' | 'version-altered';

/** A removed version, as far as proving it takes. */
export interface RemovedVersion {
  readonly id: VersionId;
  readonly digest: Sha256;
  /** Null once none of its rows is left. */
  readonly documentId: FileId | null;
  readonly removalId: number;
  readonly recordId: FileId;
}

const PAGE = 1000;

/** Proves what is left of removed versions: that they were removed, and rows that others still read. */
@Injectable()
export class TombstoneVerification {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly reader: SqlVersionReader,
  ) {}

  /** Reads records once for all versions that one tells of. */
  start(): { faultOf(version: RemovedVersion): Promise<TombstoneFault | null> } {
    let latest: { removalId: number; recorded: ReadonlyMap<number, Tombstone> | null } | null =
      null;
    return {
      faultOf: async (version) => {
        if (latest?.removalId !== version.removalId) {
          const recorded = await this.#record(version.recordId);
          latest = { removalId: version.removalId, recorded };
        }
        const [tombstone] = await this.unitOfWork.read((tx) => tombstonesOf(tx, [version.id]));
        if (!tombstone) return 'removal-unrecorded';
        const { number, digest, parents } = tombstone;
        if (!sameTombstone(latest.recorded?.get(number), { number, digest, parents })) {
          return 'removal-unrecorded';
        }
        return this.#faultOfRows(version);
      },
    };
  }

  /** What a record says; null where it is not what it was when it was stored. */
  async #record(file: FileId): Promise<ReadonlyMap<number, Tombstone> | null> {
    try {
      const content = await text(await this.files.open(file));
      const [known] = await this.unitOfWork
        .read((tx) => this.files.find(tx, [file]))
        .then((files) => [...files.values()]);
      const digest = createHash('sha256').update(content).digest('hex');
      return known?.sha256 === digest ? parseRemovalRecord(content) : null;
    } catch {
      return null;
    }
  }

  /** Each row that is left must be in the document, which must have the digest. */
  async #faultOfRows({ id, digest, documentId }: RemovedVersion): Promise<TombstoneFault | null> {
    const rows = this.#rows(id);
    let row = await rows.next();
    if (documentId === null) return row.done ? null : 'version-altered';
    const hash = createHash('sha256');
    try {
      for await (const entry of this.#documentEntries(documentId, hash)) {
        if (!row.done && entry === row.value) row = await rows.next();
      }
    } catch {
      return 'document-unreadable';
    }
    if (hash.digest('hex') !== digest) return 'document-altered';
    return row.done ? null : 'version-altered';
  }

  async *#rows(version: VersionId): AsyncGenerator<string, void> {
    for (let after: string | null = null; ;) {
      const from: string | null = after;
      const page: ChangedEntry[] = await this.unitOfWork.read((tx) =>
        this.reader.written(tx, version, { after: from, limit: PAGE }),
      );
      for (const { path, entry } of page) yield entryText(entry ?? { path, removed: true });
      after = page.at(-1)?.path ?? null;
      if (page.length < PAGE) return;
    }
  }

  /** The entries of a stored document, each as it stands there. */
  async *#documentEntries(
    file: FileId,
    hash: ReturnType<typeof createHash>,
  ): AsyncGenerator<string, void> {
    const read: string[] = [];
    const parser = new JSONParser({ paths: ['$.entries.*'], keepStack: false });
    parser.onValue = ({ value }) => void read.push(canonicalize(value) ?? '');
    for await (const chunk of await this.files.open(file)) {
      hash.update(chunk as Buffer);
      parser.write(chunk as Buffer);
      yield* read.splice(0);
    }
  }
}
