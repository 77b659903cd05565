import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { DataSource } from 'typeorm';
import type {
  Artifact,
  ArtifactInput,
  ArtifactProducer,
  Registration,
  SmallArtifactInput,
  StagedArtifact,
} from '../../src/core/contracts/artifact-producer.js';
import type { DatasetRepository } from '../../src/core/contracts/dataset-repository.js';
import type { EventBus, NewEvent } from '../../src/core/contracts/event-bus.js';
import {
  FileMissing,
  type FileCatalog,
  type StoredFile,
} from '../../src/core/contracts/file-catalog.js';
import type { Reader, Tx } from '../../src/core/contracts/unit-of-work.js';
import type { DatasetId, EventId, FileId, Sha256, UserId } from '../../src/core/ids.js';
import { TypeOrmUnitOfWork } from '../../src/platform/database/unit-of-work.js';
import { SqlStorageQuotas } from '../../src/storage/quotas/sql-storage-quotas.js';
import { Checks } from '../../src/versioning/checks.js';
import { Commits } from '../../src/versioning/commits.js';
import { Lineages } from '../../src/versioning/lineages.js';
import { OverlayDocuments } from '../../src/versioning/overlay-documents.js';
import { Refs } from '../../src/versioning/refs.js';
import { VersionTree } from '../../src/versioning/version-tree.js';

const sha256 = (content: Buffer): Sha256 =>
  createHash('sha256').update(content).digest('hex') as Sha256;

/**
 * The bytes of files in memory and their rows in the database: as much of storage as versioning
 * relies on, so that its tests do not test storage.
 */
export class MemoryStorage implements ArtifactProducer, FileCatalog {
  readonly contents = new Map<string, Buffer>();

  async stage(input: ArtifactInput): Promise<StagedArtifact> {
    const pieces: Buffer[] = [];
    for await (const piece of input.stream) pieces.push(Buffer.from(piece as string));
    const content = Buffer.concat(pieces);
    const digest = sha256(content);
    this.contents.set(digest, content);
    return {
      stagedKey: digest,
      sha256: digest,
      sizeBytes: content.length,
      fileType: input.fileType ?? null,
      mimeType: input.mimeType ?? 'application/octet-stream',
      compressionType: null,
      metadata: {},
    };
  }

  async stageAll(inputs: readonly SmallArtifactInput[]): Promise<StagedArtifact[]> {
    const staged: StagedArtifact[] = [];
    for (const { content, ...input } of inputs) {
      staged.push(await this.stage({ stream: Readable.from([content]), ...input }));
    }
    return staged;
  }

  async register(
    tx: Tx,
    staged: readonly StagedArtifact[],
    { isReferredTo = false, meanwhile }: Partial<Registration> = {},
  ): Promise<Artifact[]> {
    const artifacts: Artifact[] = [];
    for (const { sha256: digest, sizeBytes, fileType, mimeType } of staged) {
      const [row] = await tx.query<{ id: FileId }>(
        `INSERT INTO files (storage_type, file_type, mime_type, file_path, file_size, content_hash)
         VALUES ('memory', $1, $2, $4::text, $3, $4::text)
         ON CONFLICT (content_hash) DO UPDATE SET mime_type = files.mime_type RETURNING id`,
        [fileType, mimeType, sizeBytes, digest],
      );
      artifacts.push({ fileId: row!.id, sha256: digest, sizeBytes, deduplicated: false });
    }
    if (isReferredTo) {
      await this.addReferences(
        tx,
        artifacts.map(({ fileId }) => fileId),
      );
    }
    await meanwhile?.(artifacts);
    return artifacts;
  }

  async createArtifact(): Promise<Artifact> {
    throw new Error('Versioning stages and registers in its own transactions');
  }

  async discard(): Promise<void> {}

  async find(tx: Reader, ids: readonly FileId[]): Promise<Map<FileId, StoredFile>> {
    const rows = await tx.query<StoredFile & { size: string }>(
      `SELECT id AS "fileId", content_hash AS sha256, file_size AS size, file_type AS "fileType",
         mime_type AS "mimeType", metadata, created_at AS "createdAt"
       FROM files WHERE id = ANY($1::integer[])`,
      [ids],
    );
    return new Map(
      rows.map((row) => [
        row.fileId,
        { ...row, sizeBytes: Number(row.size), compressionType: null },
      ]),
    );
  }

  async findByDigest(tx: Reader, digests: readonly Sha256[]): Promise<Map<Sha256, StoredFile>> {
    const rows = await tx.query<{ id: FileId }>(
      'SELECT id FROM files WHERE content_hash = ANY($1::text[])',
      [digests],
    );
    const files = await this.find(
      tx,
      rows.map(({ id }) => id),
    );
    return new Map([...files.values()].map((file) => [file.sha256, file]));
  }

  async addReferences(tx: Tx, ids: readonly FileId[]): Promise<void> {
    const updated = await tx.query<{ id: FileId }>(
      `UPDATE files f SET reference_count = reference_count + n.count, unreferenced_since = NULL
       FROM (SELECT id, count(*) FROM unnest($1::integer[]) id GROUP BY id) n
       WHERE f.id = n.id RETURNING f.id`,
      [ids],
    );
    const found = new Set(updated.map(({ id }) => id));
    const missing = ids.filter((id) => !found.has(id));
    if (missing.length > 0) throw new FileMissing(missing);
  }

  async releaseReferences(tx: Tx, ids: readonly FileId[]): Promise<void> {
    await tx.query(
      `UPDATE files f SET reference_count = reference_count - n.count,
         unreferenced_since = CASE WHEN reference_count = n.count THEN now() END
       FROM (SELECT id, count(*) FROM unnest($1::integer[]) id GROUP BY id) n WHERE f.id = n.id`,
      [ids],
    );
  }

  async open(): Promise<Readable> {
    throw new Error('Downloads are tested over HTTP');
  }
}

/** Keeps what was published. */
export class RecordedEvents implements EventBus {
  readonly published: NewEvent[] = [];

  async publish(_tx: Tx, type: string, subject: string, data: unknown): Promise<EventId> {
    this.published.push({ type, subject, data } as NewEvent);
    return randomUUID() as EventId;
  }

  async publishAll(tx: Tx, events: readonly NewEvent[]): Promise<EventId[]> {
    return Promise.all(
      events.map(({ type, subject, data }) => this.publish(tx, type, subject, data)),
    );
  }

  subscribe(): never {
    throw new Error('Nothing here subscribes');
  }

  unsubscribe(): void {}
}

class PlainDatasets implements DatasetRepository {
  async get(tx: Reader, id: DatasetId) {
    const [row] = await tx.query<Awaited<ReturnType<DatasetRepository['get']>>>(
      `SELECT id, name, default_branch AS "defaultBranch", created_by AS "createdBy", metadata,
         deleted_at AS "deletedAt" FROM datasets WHERE id = $1`,
      [id],
    );
    return row!;
  }

  async touch(tx: Tx, id: DatasetId): Promise<void> {
    await tx.query('UPDATE datasets SET updated_at = now() WHERE id = $1', [id]);
  }

  async beginForgetting(tx: Tx, id: DatasetId): Promise<boolean> {
    const rows = await tx.query(
      'SELECT 1 FROM datasets WHERE id = $1 AND deleted_at IS NOT NULL FOR UPDATE',
      [id],
    );
    return rows.length > 0;
  }
}

/** Everything of versioning that works on a database, without a server. */
export class VersioningFixture {
  readonly storage = new MemoryStorage();
  readonly events = new RecordedEvents();
  readonly datasets = new PlainDatasets();
  readonly tree = new VersionTree(this.storage);
  readonly lineages = new Lineages();
  readonly checks = new Checks();
  readonly refs = new Refs(this.datasets);
  readonly commits = new Commits(
    this.storage,
    this.events,
    this.datasets,
    this.tree,
    this.lineages,
    new OverlayDocuments(this.storage),
    this.checks,
    new SqlStorageQuotas({ USER_QUOTA_BYTES: 0, DATASET_QUOTA_BYTES: 0 }),
  );
  readonly unitOfWork: TypeOrmUnitOfWork;

  private constructor(
    readonly dataSource: DataSource,
    readonly user: UserId,
  ) {
    this.unitOfWork = new TypeOrmUnitOfWork(dataSource, (error) => {
      throw error;
    });
  }

  static async on(dataSource: DataSource): Promise<VersioningFixture> {
    const [user] = await dataSource.query<{ id: UserId }[]>(
      `INSERT INTO users (name, role) VALUES ($1, 'member') RETURNING id`,
      [`user-${randomUUID()}`],
    );
    return new VersioningFixture(dataSource, user!.id);
  }

  async aDataset(): Promise<DatasetId> {
    const [dataset] = await this.dataSource.query<{ id: DatasetId }[]>(
      'INSERT INTO datasets (name, created_by) VALUES ($1, $2) RETURNING id',
      [`dataset-${randomUUID()}`, this.user],
    );
    await this.dataSource.query(
      `INSERT INTO dataset_pointers (dataset_id, pointer_name, is_tag) VALUES ($1, 'main', FALSE)`,
      [dataset!.id],
    );
    return dataset!.id;
  }

  /** Files of these contents; the same content is the same file. */
  async files(...contents: string[]): Promise<FileId[]> {
    return this.unitOfWork.run(async (tx) => {
      const staged: StagedArtifact[] = [];
      for (const content of contents) {
        staged.push(
          await this.storage.stage({ stream: Readable.from([content]), fileType: 'txt' }),
        );
      }
      const artifacts = await this.storage.register(tx, staged);
      return artifacts.map(({ fileId }) => fileId);
    });
  }

  /** What a stream gives, as text. */
  static async text(stream: Readable): Promise<string> {
    return (await buffer(stream)).toString('utf8');
  }
}
