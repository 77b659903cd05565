import { Inject, Injectable } from '@nestjs/common';
import { validationPipe } from '../platform/http/validation.js';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { STORAGE_BACKEND, type StorageBackend } from '../core/contracts/storage-backend.js';
import {
  UNIT_OF_WORK,
  type Reader,
  type Tx,
  type UnitOfWork,
} from '../core/contracts/unit-of-work.js';
import {
  VERSION_WRITER,
  type VersionOperation,
  type VersionWriter,
} from '../core/contracts/versions.js';
import type { FileId, Sha256 } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { InvalidInput } from '../core/problems.js';
import { ContentsMissing } from './dataset.problems.js';
import {
  DOCUMENT_FORMAT,
  readDocument,
  type DocumentOperation,
  type DocumentPart,
  type DocumentVersion,
} from './dataset-document.js';
import { CreateDatasetDto } from './datasets.dto.js';
import { DatasetsRepository, type DatasetDetails, type NewDataset } from './datasets.repository.js';
import { DatasetsService } from './datasets.service.js';

const LOOKED_UP_AT_ONCE = 1000;
const LOCKED_AT_ONCE = 10_000;

/** What has been learnt of a document before anything is created. */
interface Survey {
  readonly dataset: NewDataset;
  /** In ascending order. */
  readonly files: readonly FileId[];
}

/** Makes a dataset of an exported document. */
@Injectable()
export class DatasetImport {
  private readonly validation = validationPipe();

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(STORAGE_BACKEND) private readonly storage: StorageBackend,
    @Inject(FILE_CATALOG) private readonly catalog: FileCatalog,
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    @Inject(VERSION_WRITER) private readonly versions: VersionWriter,
    private readonly datasets: DatasetsService,
    private readonly repository: DatasetsRepository,
  ) {}

  /**
   * Reads the staged document twice: once to check all of it and to look its contents up, and again,
   * in one transaction, to commit version after version. So nothing is created unless all can be,
   * no transaction waits for a sender, and of a document of any size one version is in memory.
   * @param name instead of the document's own
   * @throws InvalidInput, ContentsMissing, DatasetNameTaken
   */
  async import(
    principal: Principal,
    stagedKey: string,
    name: string | undefined,
  ): Promise<DatasetDetails> {
    const survey = await this.survey(principal, stagedKey);
    const dataset = { ...survey.dataset, name: name ?? survey.dataset.name };
    return this.unitOfWork.run(async (tx) => {
      const id = await this.datasets.found(tx, principal, dataset);
      await this.holding(tx, survey.files, async () => {
        for await (const part of this.parts(stagedKey)) {
          if (part.kind !== 'version') continue;
          await this.versions.commit(tx, {
            datasetId: id,
            branch: dataset.defaultBranch,
            author: principal.userId,
            message: part.value.message,
            operations: await this.operations(tx, part.value.operations),
          });
        }
      });
      return this.repository.details(tx, id);
    });
  }

  private async *parts(stagedKey: string): AsyncGenerator<DocumentPart> {
    const stream = await this.storage.open(stagedKey);
    try {
      yield* readDocument(stream as AsyncIterable<Buffer>);
    } finally {
      stream.destroy();
    }
  }

  private async survey(principal: Principal, stagedKey: string): Promise<Survey> {
    const wanted = new Wanted((digests) => this.readable(principal, digests));
    let dataset: NewDataset | undefined;
    let format: unknown;
    let previous: number | null = null;
    for await (const part of this.parts(stagedKey)) {
      if (part.kind === 'format') format = part.value;
      else if (part.kind === 'dataset') dataset = await this.validate(part.value);
      else {
        requireLinear(part.value, previous);
        previous = part.value.number;
        for (const { sha256 } of part.value.operations) if (sha256) await wanted.add(sha256);
      }
    }
    if (format !== DOCUMENT_FORMAT) {
      throw new InvalidInput(`The document's format is not "${DOCUMENT_FORMAT}".`, [
        { at: 'format', message: `must be "${DOCUMENT_FORMAT}"` },
      ]);
    }
    if (!dataset) throw new InvalidInput('The document has no member "dataset".');
    return { dataset, files: await wanted.settle() };
  }

  /** Holds the described dataset to the rules of a new one; what else is said of it is passed over. */
  private async validate(described: unknown): Promise<NewDataset> {
    if (typeof described !== 'object' || described === null) {
      throw new InvalidInput('The document\'s member "dataset" is no object.');
    }
    const { name, description, metadata, tags, defaultBranch } = described as CreateDatasetDto;
    const dto = (await this.validation.transform(
      { name, description, metadata, tags, defaultBranch },
      { type: 'body', metatype: CreateDatasetDto },
    )) as CreateDatasetDto;
    return dto.toNewDataset();
  }

  /** The files of these contents that the principal may read. */
  private async readable(
    principal: Principal,
    digests: readonly Sha256[],
  ): Promise<Map<Sha256, FileId>> {
    return this.unitOfWork.read(async (tx) => {
      const found = await this.catalog.findByDigest(tx, digests);
      const ids = [...found.values()].map(({ fileId }) => fileId);
      const readable = await this.policy.readableFiles(tx, principal, ids);
      return new Map(
        [...found].flatMap(([digest, { fileId }]) =>
          readable.has(fileId) ? [[digest, fileId]] : [],
        ),
      );
    });
  }

  /**
   * Holds a reference to each file while `work` runs: they cannot go, and as all their rows are
   * locked beforehand, in order, commits of the same files elsewhere wait instead of deadlocking.
   */
  private async holding(
    tx: Tx,
    files: readonly FileId[],
    work: () => Promise<void>,
  ): Promise<void> {
    const batches = inBatches(files, LOCKED_AT_ONCE);
    for (const batch of batches) await this.catalog.addReferences(tx, batch);
    await work();
    for (const batch of batches) await this.catalog.releaseReferences(tx, batch);
  }

  private async operations(
    tx: Reader,
    operations: readonly DocumentOperation[],
  ): Promise<VersionOperation[]> {
    const resolved: VersionOperation[] = [];
    for (const batch of inBatches(operations, LOOKED_UP_AT_ONCE)) {
      const digests = batch.flatMap(({ sha256 }) => (sha256 ? [sha256] : []));
      const files = await this.catalog.findByDigest(tx, [...new Set(digests)]);
      for (const { path, sha256, metadata } of batch) {
        if (!sha256) {
          resolved.push({ op: 'remove', path });
          continue;
        }
        const file = files.get(sha256);
        if (!file) throw new ContentsMissing([sha256], 1);
        resolved.push({ op: 'put', path, fileId: file.fileId, metadata });
      }
    }
    return resolved;
  }
}

/** The contents that a document wants, looked up in batches. */
class Wanted {
  readonly #lookUp: (digests: readonly Sha256[]) => Promise<Map<Sha256, FileId>>;
  readonly #files = new Set<FileId>();
  readonly #missing = new Set<Sha256>();
  #pending = new Set<Sha256>();

  constructor(lookUp: (digests: readonly Sha256[]) => Promise<Map<Sha256, FileId>>) {
    this.#lookUp = lookUp;
  }

  async add(digest: Sha256): Promise<void> {
    this.#pending.add(digest);
    if (this.#pending.size >= LOOKED_UP_AT_ONCE) await this.#flush();
  }

  /** @throws ContentsMissing */
  async settle(): Promise<FileId[]> {
    await this.#flush();
    if (this.#missing.size > 0) throw new ContentsMissing([...this.#missing], this.#missing.size);
    return [...this.#files].sort((a, b) => a - b);
  }

  async #flush(): Promise<void> {
    if (this.#pending.size === 0) return;
    const digests = [...this.#pending];
    this.#pending = new Set();
    const found = await this.#lookUp(digests);
    for (const digest of digests) {
      const file = found.get(digest);
      if (file === undefined) this.#missing.add(digest);
      else this.#files.add(file);
    }
  }
}

function requireLinear(version: DocumentVersion, previous: number | null): void {
  if (version.parent === previous) return;
  throw new InvalidInput(
    `Version ${version.number} of the document does not follow the one before it; only a history in one line can be imported.`,
  );
}

function inBatches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
