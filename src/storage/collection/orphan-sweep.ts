import { Inject, Injectable } from '@nestjs/common';
import {
  RECORDS,
  STORAGE_BACKEND,
  type ObjectInfo,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { isSha256 } from '../../core/ids.js';
import { CONFIG, type Config } from '../../platform/config/config.js';

/** How many objects are compared with the rows at once. */
const BATCH = 1000;
const STAGING = 'staging/';

const OBJECTS = `
  unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[], $5::float8[])
    AS o (key, hash, size_bytes, modified_at, grace_ms)`;

const NOTE = `
  INSERT INTO storage_deletions (object_key, content_hash, size_bytes, modified_at, due_at)
  SELECT o.key, o.hash, o.size_bytes, o.modified_at, now() + o.grace_ms * interval '1 millisecond'
  FROM ${OBJECTS}
  WHERE NOT EXISTS (SELECT 1 FROM files f WHERE f.file_path = o.key)
  ORDER BY o.key
  ON CONFLICT (object_key) DO NOTHING
  RETURNING object_key`;

// An unnamed object that has changed since it was noted is being written.
const RENEW = `
  WITH changed AS (
    SELECT d.object_key, o.size_bytes, o.modified_at, o.grace_ms
    FROM storage_deletions d JOIN ${OBJECTS} ON o.key = d.object_key
    WHERE d.content_hash IS NULL
      AND (d.size_bytes, d.modified_at) IS DISTINCT FROM (o.size_bytes, o.modified_at)
    FOR UPDATE OF d SKIP LOCKED
  )
  UPDATE storage_deletions d
  SET size_bytes = c.size_bytes, modified_at = c.modified_at,
      due_at = now() + c.grace_ms * interval '1 millisecond'
  FROM changed c WHERE c.object_key = d.object_key`;

/** Finds the objects that no row names: left by a crash, a rollback or a broken upload. */
@Injectable()
export class OrphanSweep {
  constructor(
    @Inject(STORAGE_BACKEND) private readonly backend: StorageBackend,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'GC_GRACE' | 'STAGING_GRACE'>,
  ) {}

  /**
   * Notes the objects under a prefix that no row names, to be deleted once their time has come.
   * Deletes nothing.
   * @param prefix '' for all there is
   * @returns how many were not noted before
   */
  async sweep(prefix: string, signal: AbortSignal): Promise<number> {
    let found = 0;
    let batch: ObjectInfo[] = [];
    for await (const object of this.backend.list(prefix)) {
      if (object.key.startsWith(RECORDS)) continue;
      batch.push(object);
      if (batch.length < BATCH) continue;
      signal.throwIfAborted();
      found += await this.note(batch);
      batch = [];
    }
    return found + (await this.note(batch));
  }

  /** Looks once more at the objects of unfinished uploads. */
  sweepStaging(signal: AbortSignal): Promise<number> {
    return this.sweep(STAGING, signal);
  }

  private async note(objects: readonly ObjectInfo[]): Promise<number> {
    const hashes = objects.map(({ key }) => contentHashOf(key));
    const parameters = [
      objects.map(({ key }) => key),
      hashes,
      objects.map(({ sizeBytes }) => sizeBytes),
      objects.map(({ modifiedAt }, i) => (hashes[i] === null ? modifiedAt : null)),
      objects.map(({ key }, i) => this.graceMs(key, hashes[i]!)),
    ];
    return this.unitOfWork.run(async (tx) => {
      await tx.query(RENEW, parameters);
      return (await tx.query(NOTE, parameters)).length;
    });
  }

  /**
   * Before an object with a known content is deleted, its content is locked against registration, so
   * that the grace may be nothing at all. Others must lie still for as long as an upload may.
   */
  private graceMs(key: string, hash: string | null): number {
    const { GC_GRACE, STAGING_GRACE } = this.config;
    if (hash !== null) return GC_GRACE;
    return key.startsWith(STAGING) ? STAGING_GRACE : Math.max(GC_GRACE, STAGING_GRACE);
  }
}

/** The SHA-256 that a final key ends with; null for one that has none. */
function contentHashOf(key: string): string | null {
  const name = key.slice(key.lastIndexOf('/') + 1);
  return !key.startsWith(STAGING) && isSha256(name) ? name : null;
}
