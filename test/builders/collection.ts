import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { DataSource } from 'typeorm';
import type { StorageBackend } from '../../src/core/contracts/storage-backend.js';
import type { FileId, UserId } from '../../src/core/ids.js';
import { Collector } from '../../src/storage/collection/collector.js';
import { CollectionPreview } from '../../src/storage/collection/collection-preview.js';
import { ExpiredHolds } from '../../src/storage/collection/expired-holds.js';
import { ObjectDeletions } from '../../src/storage/collection/object-deletions.js';
import { OrphanSweep } from '../../src/storage/collection/orphan-sweep.js';
import { UnreferencedFiles } from '../../src/storage/collection/unreferenced-files.js';
import { anInput, EventTable, FaultyBackend, storageOn } from './storage.js';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Fails where it is told to delete. */
export class UndeletableBackend extends FaultyBackend {
  /** Called around each deletion; throws where that fails. */
  onDelete: (key: string, step: 'before' | 'after') => Promise<void> | void = () => undefined;

  override async delete(key: string): Promise<boolean> {
    await this.onDelete(key, 'before');
    const deleted = await super.delete(key);
    await this.onDelete(key, 'after');
    return deleted;
  }
}

/** Storage with a collector, as one process has it. */
export function collectionOn(
  dataSource: DataSource,
  backend: StorageBackend,
  config: { GC_GRACE?: number; STAGING_GRACE?: number } = {},
) {
  const storage = storageOn(dataSource, backend);
  const { unitOfWork, catalog, producer } = storage;
  const grace = { GC_GRACE: DAY_MS, STAGING_GRACE: DAY_MS, ...config };
  const orphans = new OrphanSweep(backend, unitOfWork, grace);
  const collector = new Collector(
    new ExpiredHolds(unitOfWork, catalog),
    new UnreferencedFiles(unitOfWork, new EventTable(), grace),
    orphans,
    new ObjectDeletions(backend, unitOfWork, grace),
  );
  return {
    ...storage,
    collector,
    preview: new CollectionPreview(unitOfWork, grace, orphans),
    run: () => collector.run(new AbortController().signal),
    upload: (bytes: Buffer, holder: UserId | null = null) =>
      producer.createArtifact(anInput(bytes, Readable.from([bytes])), { holder }),
    /** Gives a user's hold back, as `DELETE /files/{id}` does. */
    release: (file: FileId, holder: UserId) =>
      unitOfWork.run(async (tx) => {
        await tx.query('SELECT 1 FROM files WHERE id = $1 FOR NO KEY UPDATE', [file]);
        await tx.query('DELETE FROM upload_holds WHERE file_id = $1 AND user_id = $2', [
          file,
          holder,
        ]);
        await catalog.releaseReferences(tx, [file]);
      }),
  };
}

/** The SHA-256 of what a file's row leads to; null where there is no such row. */
export async function readBack(
  dataSource: DataSource,
  backend: StorageBackend,
  file: FileId,
): Promise<string | null> {
  const [row] = await dataSource.query<{ file_path: string }[]>(
    'SELECT file_path FROM files WHERE id = $1',
    [file],
  );
  if (!row) return null;
  const bytes = await buffer(await backend.open(row.file_path));
  return createHash('sha256').update(bytes).digest('hex');
}
