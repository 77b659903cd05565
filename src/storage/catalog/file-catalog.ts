import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import {
  FileDamaged,
  FileMissing,
  type FileCatalog,
  type StoredFile,
} from '../../core/contracts/file-catalog.js';
import {
  ObjectMissing,
  STORAGE_BACKEND,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import {
  UNIT_OF_WORK,
  type PreparedSql,
  type Reader,
  type Tx,
  type UnitOfWork,
} from '../../core/contracts/unit-of-work.js';
import type { FileId, Sha256 } from '../../core/ids.js';
import { GroupCommit } from '../../platform/database/group-commit.js';

interface FileRow extends Omit<StoredFile, 'fileId' | 'sizeBytes'> {
  readonly id: FileId;
  readonly sizeBytes: string;
}

const SELECT = `
  SELECT id, content_hash AS sha256, file_size AS "sizeBytes", file_type AS "fileType",
    mime_type AS "mimeType", compression_type AS "compressionType", metadata,
    created_at AS "createdAt"
  FROM files`;

const FIND: PreparedSql = { name: 'find-files', text: `${SELECT} WHERE id = ANY ($1::integer[])` };

const LOCATE: PreparedSql = {
  name: 'locate-files',
  text: `
  SELECT f.file_path AS key, f.damaged_at IS NOT NULL AS "isDamaged"
  FROM unnest($1::integer[]) WITH ORDINALITY AS wanted (file_id, position)
  LEFT JOIN files f ON f.id = wanted.file_id ORDER BY wanted.position`,
};

/** Where a file's bytes are; without a key there is no such file. */
interface Location {
  readonly key: string | null;
  readonly isDamaged: boolean;
}

// Locked in the order of the digests, as registering does. The key stays free for those who only
// refer to the row, such as a version entry's foreign key.
const CHANGE_COUNTS: PreparedSql = {
  name: 'change-reference-counts',
  text: `
  WITH locked AS MATERIALIZED (
    SELECT id FROM files WHERE id = ANY ($1::integer[]) ORDER BY content_hash FOR NO KEY UPDATE
  )
  UPDATE files SET
    reference_count = reference_count + changed.by,
    unreferenced_since = CASE WHEN reference_count + changed.by = 0 THEN now() END
  FROM locked JOIN unnest($1::integer[], $2::bigint[]) AS changed (id, by) ON changed.id = locked.id
  WHERE files.id = locked.id RETURNING files.id`,
};

/** The catalogue in PostgreSQL, the bytes in the backend. */
@Injectable()
export class SqlFileCatalog implements FileCatalog {
  /** Who opens many files opens them together: they are looked up together. */
  private readonly locations = new GroupCommit<FileId, Location>(
    async (files) => (await this.locate(files)).map((value) => ({ status: 'fulfilled', value })),
    { items: 1024, groups: 1 },
  );

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(STORAGE_BACKEND) private readonly backend: StorageBackend,
  ) {}

  async find(tx: Reader, ids: readonly FileId[]): Promise<Map<FileId, StoredFile>> {
    const rows = await tx.query<FileRow>(FIND, [ids]);
    return new Map(rows.map((row) => [row.id, toStoredFile(row)]));
  }

  async findByDigest(tx: Reader, digests: readonly Sha256[]): Promise<Map<Sha256, StoredFile>> {
    const rows = await tx.query<FileRow>(`${SELECT} WHERE content_hash = ANY ($1::char(64)[])`, [
      digests,
    ]);
    return new Map(rows.map((row) => [row.sha256, toStoredFile(row)]));
  }

  async addReferences(tx: Tx, ids: readonly FileId[]): Promise<void> {
    await this.change(tx, ids, 1);
  }

  async releaseReferences(tx: Tx, ids: readonly FileId[]): Promise<void> {
    await this.change(tx, ids, -1);
  }

  open(file: FileId, range?: { start: number; end: number }): Promise<Readable> {
    return this.at(file, (key) => this.backend.open(key, range));
  }

  localPath(file: FileId): Promise<string | null> {
    return this.at(file, async (key) => (await this.backend.localPath?.(key)) ?? null);
  }

  /** @throws FileMissing, FileDamaged */
  private async at<T>(file: FileId, read: (key: string) => Promise<T>): Promise<T> {
    // What a transaction has written only that transaction sees.
    const location = this.unitOfWork.isRunning()
      ? (await this.locate([file]))[0]
      : await this.locations.submit(file);
    if (!location || location.key === null) throw new FileMissing([file]);
    if (location.isDamaged) throw new FileDamaged(file);
    try {
      return await read(location.key);
    } catch (error) {
      if (error instanceof ObjectMissing) throw new FileDamaged(file);
      throw error;
    }
  }

  private locate(files: readonly FileId[]): Promise<Location[]> {
    return this.unitOfWork.read((tx) => tx.query<Location>(LOCATE, [files]));
  }

  private async change(tx: Tx, ids: readonly FileId[], by: 1 | -1): Promise<void> {
    if (ids.length === 0) return;
    const times = new Map<FileId, number>();
    for (const id of ids) times.set(id, (times.get(id) ?? 0) + by);
    const wanted = [...times.keys()];
    const changed = await tx.query<{ id: FileId }>(CHANGE_COUNTS, [wanted, [...times.values()]]);
    const present = new Set(changed.map(({ id }) => id));
    const missing = wanted.filter((id) => !present.has(id));
    if (missing.length > 0) throw new FileMissing(missing);
  }
}

function toStoredFile({ id, sizeBytes, ...row }: FileRow): StoredFile {
  return { ...row, fileId: id, sizeBytes: Number(sizeBytes) };
}
