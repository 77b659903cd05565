import { createHash } from 'node:crypto';
import type { ObjectInfo, StorageBackend } from '../core/contracts/storage-backend.js';
import type { UnitOfWork } from '../core/contracts/unit-of-work.js';
import { isSha256 } from '../core/ids.js';
import type { Losses } from './losses.js';

/** How many objects become rows at once. */
const BATCH = 1000;

/** How many objects are read at once. */
const PARALLEL = 4;

const CONTENTS = 'artifacts/';

// A row that a missing content was given before is healed by the object that has come back.
const INSERT = `
  INSERT INTO files (storage_type, mime_type, file_path, file_size, content_hash, created_at)
  SELECT $1, 'application/octet-stream', o.path, o.size, o.hash, o.modified_at
  FROM unnest($2::text[], $3::bigint[], $4::text[], $5::timestamptz[])
    AS o (path, size, hash, modified_at)
  ON CONFLICT (content_hash) DO UPDATE
    SET file_path = excluded.file_path, file_size = excluded.file_size, damaged_at = NULL
    WHERE files.damaged_at IS NOT NULL`;

/** Makes a row of each content that lies in the storage. Repeated, it adds what is not there yet. */
export class ContentRestoration {
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly backend: StorageBackend,
    private readonly losses: Losses,
  ) {}

  /**
   * @param hash whether bytes are read and proved, or their names believed
   * @returns how many objects were looked at
   */
  async restore(
    hash: boolean,
    signal: AbortSignal,
    progress: (objects: number, sizeBytes: number) => void,
  ): Promise<number> {
    let [objects, sizeBytes] = [0, 0];
    let batch: ObjectInfo[] = [];
    const flush = async () => {
      signal.throwIfAborted();
      await this.#insert(batch, hash);
      objects += batch.length;
      sizeBytes += batch.reduce((sum, object) => sum + object.sizeBytes, 0);
      progress(objects, sizeBytes);
      batch = [];
    };
    for await (const object of this.backend.list(CONTENTS)) {
      batch.push(object);
      if (batch.length === BATCH) await flush();
    }
    if (batch.length > 0) await flush();
    return objects;
  }

  async #insert(batch: readonly ObjectInfo[], hash: boolean): Promise<void> {
    const present = await this.unitOfWork.read((tx) =>
      tx.query<{ key: string }>(
        `SELECT file_path AS key FROM files WHERE file_path = ANY($1::text[])
           AND damaged_at IS NULL`,
        [batch.map(({ key }) => key)],
      ),
    );
    const known = new Set(present.map(({ key }) => key));
    const rest = batch.filter(({ key }) => !known.has(key));
    const found = new Map<string, ObjectInfo>();
    const left = rest.values();
    const worker = async () => {
      for (const object of left) {
        const sha256 = await this.#digestOf(object, hash);
        if (sha256 !== null) found.set(sha256, object);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    const objects = [...found];
    await this.unitOfWork.run((tx) =>
      tx.query(INSERT, [
        this.backend.type,
        objects.map(([, { key }]) => key),
        objects.map(([, { sizeBytes }]) => sizeBytes),
        objects.map(([sha256]) => sha256),
        objects.map(([, { modifiedAt }]) => modifiedAt),
      ]),
    );
  }

  /** What an object holds; null where that is not what its name says. */
  async #digestOf({ key }: ObjectInfo, hash: boolean): Promise<string | null> {
    const name = key.slice(key.lastIndexOf('/') + 1);
    if (!hash && isSha256(name)) return name;
    const digest = createHash('sha256');
    for await (const chunk of await this.backend.open(key)) digest.update(chunk as Buffer);
    const sha256 = digest.digest('hex');
    if (!isSha256(name) || name === sha256) return sha256;
    this.losses.add('damaged-object', `The object ${key} does not hold what its name says.`);
    return null;
  }
}
