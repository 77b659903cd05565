import { expect } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { DataSource } from 'typeorm';
import { SqlAuditTrail } from '../../src/access/audit/audit-trail.js';
import { SqlAccessPolicy } from '../../src/access/sql-access-policy.js';
import type { ArtifactInput } from '../../src/core/contracts/artifact-producer.js';
import type { EventBus, EventSubscription, NewEvent } from '../../src/core/contracts/event-bus.js';
import type {
  ObjectInfo,
  ObjectReader,
  StagedObject,
  StagingSink,
  StorageBackend,
} from '../../src/core/contracts/storage-backend.js';
import type { Tx } from '../../src/core/contracts/unit-of-work.js';
import type { EventId, UserId } from '../../src/core/ids.js';
import type { Principal, Role } from '../../src/core/principal.js';
import { TypeOrmUnitOfWork } from '../../src/platform/database/unit-of-work.js';
import { Metrics } from '../../src/platform/metrics/metrics.js';
import { StreamArtifactProducer } from '../../src/storage/artifact/artifact.producer.js';
import { SqlFileCatalog } from '../../src/storage/catalog/file-catalog.js';
import { FilesService } from '../../src/storage/files.service.js';
import { SqlStorageQuotas } from '../../src/storage/quotas/sql-storage-quotas.js';
import { eventually } from './eventually.js';

/** Writes events where the real bus keeps them, so that they commit and roll back alike. */
export class EventTable implements EventBus {
  async publish(tx: Tx, type: string, subject: string, data: object): Promise<EventId> {
    const [id] = await this.publishAll(tx, [{ type, subject, data } as NewEvent]);
    return id!;
  }

  async publishAll(tx: Tx, events: readonly NewEvent[]): Promise<EventId[]> {
    const ids = events.map(() => randomUUID() as EventId);
    for (const [index, { type, subject, data, correlationId }] of events.entries()) {
      await tx.query(
        `INSERT INTO events (id, type, source, subject, data, correlation_id)
         VALUES ($1, $2, 'test', $3, $4, $5)`,
        [ids[index], type, subject, data, correlationId ?? null],
      );
    }
    return ids;
  }

  subscribe(pattern: string): EventSubscription {
    return { name: 'nobody', pattern };
  }

  unsubscribe(): void {}
}

/** The write half of storage as one process has it. */
export function storageOn(dataSource: DataSource, backend: StorageBackend) {
  const unitOfWork = new TypeOrmUnitOfWork(dataSource, (error) => {
    throw error;
  });
  const policy = new SqlAccessPolicy();
  const metrics = new Metrics();
  const audit = new SqlAuditTrail(unitOfWork);
  const producer = new StreamArtifactProducer(
    backend,
    unitOfWork,
    new EventTable(),
    policy,
    { UPLOAD_HOLD: 3_600_000 },
    metrics,
    audit,
    new SqlStorageQuotas({ USER_QUOTA_BYTES: 0, DATASET_QUOTA_BYTES: 0 }),
  );
  const catalog = new SqlFileCatalog(unitOfWork, backend);
  const files = new FilesService(unitOfWork, policy, catalog, producer, audit);
  return { unitOfWork, policy, metrics, producer, catalog, files };
}

/** Makes a user. */
export async function aUser(dataSource: DataSource, role: Role = 'member'): Promise<Principal> {
  const name = `user-${randomUUID()}`;
  const [row] = await dataSource.query<{ id: UserId }[]>(
    'INSERT INTO users (name, role) VALUES ($1, $2) RETURNING id',
    [name, role],
  );
  return { userId: row!.id, name, role, keyId: null };
}

/** An input of these bytes, in pieces as they come off a network. */
export function anInput(
  bytes: Buffer,
  stream: Readable,
  more: Partial<ArtifactInput> = {},
): ArtifactInput {
  return { stream, mimeType: 'application/octet-stream', expectedBytes: bytes.length, ...more };
}

/** Where a fault may be put: the backend's steps, each with what goes wrong there. */
export interface Faults {
  openStaging?: () => void;
  write?: (batchNumber: number) => void | Promise<void>;
  finish?: () => void;
  finalize?: (sha256: string, step: 'before' | 'after') => void | Promise<void>;
  finalizeRecord?: (key: string) => void;
  discard?: () => void;
  info?: () => void;
}

/** A backend in front of another, which fails where it is told to. */
export class FaultyBackend implements StorageBackend {
  faults: Faults = {};

  constructor(private readonly inner: StorageBackend) {}

  get type(): string {
    return this.inner.type;
  }

  async openStaging(): Promise<StagingSink> {
    this.faults.openStaging?.();
    const sink = await this.inner.openStaging();
    let batchNumber = 0;
    return {
      write: async (batch) => {
        await this.faults.write?.(++batchNumber);
        await sink.write(batch);
      },
      finish: async () => {
        this.faults.finish?.();
        return sink.finish();
      },
      abort: () => sink.abort(),
    };
  }

  async stageAll(contents: readonly Uint8Array[]): Promise<StagedObject[]> {
    this.faults.openStaging?.();
    return this.inner.stageAll(contents);
  }

  finalKey(staged: StagedObject, sha256: string): string {
    return this.inner.finalKey(staged, sha256);
  }

  async finalize(staged: StagedObject, sha256: string): Promise<string> {
    await this.faults.finalize?.(sha256, 'before');
    const key = await this.inner.finalize(staged, sha256);
    await this.faults.finalize?.(sha256, 'after');
    return key;
  }

  async finalizeRecord(staged: StagedObject, key: string): Promise<void> {
    this.faults.finalizeRecord?.(key);
    await this.inner.finalizeRecord(staged, key);
  }

  async discard(stagedKey: string): Promise<void> {
    this.faults.discard?.();
    await this.inner.discard(stagedKey);
  }

  open(key: string, range?: { start: number; end: number }): Promise<Readable> {
    return this.inner.open(key, range);
  }

  openReader(key: string): Promise<ObjectReader> {
    return this.inner.openReader(key);
  }

  delete(key: string): Promise<boolean> {
    return this.inner.delete(key);
  }

  exists(key: string): Promise<boolean> {
    return this.inner.exists(key);
  }

  async info(key: string): Promise<ObjectInfo> {
    this.faults.info?.();
    return this.inner.info(key);
  }

  list(prefix: string): AsyncIterable<ObjectInfo> {
    return this.inner.list(prefix);
  }

  checkWritable(): Promise<void> {
    return this.inner.checkWritable();
  }
}

/** The keys of the objects under a prefix. */
export async function keysUnder(backend: StorageBackend, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of backend.list(prefix)) keys.push(key);
  return keys;
}

/**
 * Checks the laws that always hold: every row has its bytes and they hash to its digest, counts are
 * what a recount finds, events tell of exactly what is there, and staging is empty.
 */
export async function expectLawful(dataSource: DataSource, backend: StorageBackend): Promise<void> {
  const rows = await dataSource.query<
    { id: number; file_path: string; content_hash: string; file_size: string }[]
  >('SELECT id, file_path, content_hash, file_size FROM files ORDER BY id');
  for (const row of rows) {
    const bytes = await buffer(await backend.open(row.file_path));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(row.content_hash);
    expect(bytes.length).toBe(Number(row.file_size));
  }
  const miscounted = await dataSource.query<object[]>(
    `SELECT f.id FROM files f WHERE reference_count <>
       (SELECT count(*) FROM upload_holds h WHERE h.file_id = f.id)`,
  );
  expect(miscounted).toEqual([]);
  const told = await dataSource.query<{ id: number }[]>(
    `SELECT (data->>'fileId')::integer AS id FROM events WHERE type = 'file.uploaded' ORDER BY 1`,
  );
  expect(told.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
  // What registering leaves over is dropped without anybody waiting for it.
  await eventually(async () => expect(await keysUnder(backend, 'staging/')).toEqual([]));
}
