import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import {
  VERSION_READER,
  type VersionReader,
  type VersionRecord,
} from '../core/contracts/versions.js';
import type { DatasetId, UserId } from '../core/ids.js';
import { DOCUMENT_FORMAT } from './dataset-document.js';
import type { DatasetDetails } from './datasets.repository.js';

const VERSIONS_AT_ONCE = 100;
const OPERATIONS_AT_ONCE = 1000;

type OverlayPage = Awaited<ReturnType<VersionReader['overlay']>>;

/** Writes a dataset down as a JSON document that `import` can read again. */
@Injectable()
export class DatasetExport {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
  ) {}

  /**
   * The document in pieces of text: the dataset, and on request what each version changes. It is
   * read a page at a time, so memory stays flat and no connection is held while the receiver reads;
   * versions are immutable, so the pages fit together. The same state gives the same bytes.
   */
  async *document(dataset: DatasetDetails, withVersions: boolean): AsyncGenerator<string> {
    const head = {
      format: DOCUMENT_FORMAT,
      dataset: {
        name: dataset.name,
        description: dataset.description,
        metadata: dataset.metadata,
        tags: dataset.tags,
        owner: dataset.ownerName,
        defaultBranch: dataset.defaultBranch,
        createdAt: dataset.createdAt.toISOString(),
        updatedAt: dataset.updatedAt.toISOString(),
      },
    };
    if (!withVersions) {
      yield `${JSON.stringify(head)}\n`;
      return;
    }
    yield `${JSON.stringify(head).slice(0, -1)},"versions":[`;
    let separator = '\n';
    for await (const version of this.versionsOf(dataset.id)) {
      yield `${separator}${version.head.slice(0, -1)},"operations":[`;
      yield* this.operationsOf(version.record);
      yield ']}';
      separator = ',\n';
    }
    yield '\n]}\n';
  }

  private async *versionsOf(
    dataset: DatasetId,
  ): AsyncGenerator<{ record: VersionRecord; head: string }> {
    // A parent comes before its children, but not always on the same page.
    const numbers = new Map<number, number>();
    const authors = new Map<UserId, string>();
    let after = 0;
    let page: VersionRecord[];
    do {
      page = await this.unitOfWork.read((tx) =>
        this.versions.list(tx, dataset, { after, limit: VERSIONS_AT_ONCE }),
      );
      await this.nameAuthors(page, authors);
      for (const record of page) {
        numbers.set(record.id, record.versionNumber);
        const head = JSON.stringify({
          number: record.versionNumber,
          parent: await this.numberOfParent(record, numbers),
          message: record.message,
          author: authors.get(record.createdBy) ?? null,
          committedAt: record.committedAt.toISOString(),
          digest: record.digest,
        });
        yield { record, head };
        after = record.versionNumber;
      }
    } while (page.length === VERSIONS_AT_ONCE);
  }

  private async numberOfParent(
    { id, parentId }: VersionRecord,
    numbers: ReadonlyMap<number, number>,
  ): Promise<number | null> {
    if (parentId === null) return null;
    const known = numbers.get(parentId);
    if (known !== undefined) return known;
    // The parent has been removed; what is exported is against the nearest that has not.
    const base = await this.unitOfWork.read((tx) => this.versions.builtOn(tx, id));
    return base?.versionNumber ?? null;
  }

  private async *operationsOf(version: VersionRecord): AsyncGenerator<string> {
    let separator = '\n ';
    let after: string | null = null;
    let page: OverlayPage;
    do {
      page = await this.overlay(version, after);
      const lines = page.map(({ path, entry }) =>
        JSON.stringify(
          entry
            ? {
                path,
                sha256: entry.sha256,
                sizeBytes: entry.sizeBytes,
                ...(entry.metadata ? { metadata: entry.metadata } : {}),
              }
            : { path, removed: true },
        ),
      );
      if (lines.length > 0) yield separator + lines.join(',\n ');
      separator = ',\n ';
      after = page.at(-1)?.path ?? null;
    } while (page.length === OPERATIONS_AT_ONCE);
  }

  private overlay(version: VersionRecord, after: string | null): Promise<OverlayPage> {
    return this.unitOfWork.read((tx) =>
      this.versions.overlay(tx, version.id, { after, limit: OPERATIONS_AT_ONCE }),
    );
  }

  private async nameAuthors(
    versions: readonly VersionRecord[],
    known: Map<UserId, string>,
  ): Promise<void> {
    const unknown = new Set(
      versions.map(({ createdBy }) => createdBy).filter((id) => !known.has(id)),
    );
    if (unknown.size === 0) return;
    const users = await this.unitOfWork.read((tx) =>
      tx.query<{ id: UserId; name: string }>(
        'SELECT id, name FROM users WHERE id = ANY($1::integer[])',
        [[...unknown]],
      ),
    );
    for (const { id, name } of users) known.set(id, name);
  }
}
