import canonicalize from 'canonicalize';
import { buffer } from 'node:stream/consumers';
import { RECORDS, type StorageBackend } from '../core/contracts/storage-backend.js';
import {
  keyOfRecord,
  parseRecordKey,
  RECORD_FORMAT,
  recordsOf,
  type RecordContent,
  type RecordName,
  type RecordSubject,
} from './record-format.js';

/** A record that cannot be read, or does not say what its key says. */
export class RecordDamaged extends Error {
  constructor(key: string, reason: string) {
    super(`The record ${key} ${reason}.`);
    this.name = 'RecordDamaged';
  }
}

/** Writes what a batch holds at most at once. */
const BATCH_BYTES = 1024 * 1024;

/**
 * Records in the storage, as canonical JSON (RFC 8785). Each has a key of its own with its sequence
 * in it, so that no writer, however late, replaces what another has written.
 */
export class RecordStore {
  constructor(private readonly backend: StorageBackend) {}

  /** Writes a record durably. */
  async write(name: RecordName, content: RecordContent): Promise<void> {
    const { kind, id, sequence } = name;
    const text = canonicalize({ $format: RECORD_FORMAT, kind, id, sequence, content });
    const bytes = Buffer.from(text ?? '');
    const sink = await this.backend.openStaging();
    try {
      for (let at = 0; at < bytes.length; at += BATCH_BYTES) {
        // A copy: a backend may hand its batches over to another thread.
        await sink.write(Buffer.from(bytes.subarray(at, at + BATCH_BYTES)));
      }
    } catch (error) {
      await sink.abort();
      throw error;
    }
    await this.backend.finalizeRecord(await sink.finish(), keyOfRecord(name));
  }

  /** The sequence of a subject's newest record; 0 where there is none. */
  async newest(origin: string, subject: RecordSubject): Promise<number> {
    let newest = 0;
    for await (const { key } of this.backend.list(recordsOf(origin, subject))) {
      newest = Math.max(newest, parseRecordKey(key)?.sequence ?? 0);
    }
    return newest;
  }

  /** Deletes the records of a subject that are older than one. */
  async deleteOlder(name: RecordName): Promise<void> {
    for await (const { key } of this.backend.list(recordsOf(name.origin, name))) {
      const other = parseRecordKey(key);
      if (other && other.sequence < name.sequence) await this.backend.delete(key);
    }
  }

  /** Streams the names of all records of an origin, or of every one, in no particular order. */
  async *names(origin = ''): AsyncGenerator<RecordName> {
    const prefix = origin === '' ? RECORDS : `${RECORDS}${origin}/`;
    for await (const { key } of this.backend.list(prefix)) {
      const name = parseRecordKey(key);
      if (name) yield name;
    }
  }

  /** @throws RecordDamaged */
  async read<C extends RecordContent>(name: RecordName): Promise<C> {
    const key = keyOfRecord(name);
    let record: { $format?: string; kind?: string; id?: number; sequence?: number; content?: C };
    try {
      record = JSON.parse((await buffer(await this.backend.open(key))).toString('utf8')) as never;
    } catch (error) {
      throw new RecordDamaged(key, `cannot be read: ${(error as Error).message}`);
    }
    const { $format, kind, id, sequence, content } = record;
    if ($format !== RECORD_FORMAT) throw new RecordDamaged(key, `has the format ${$format}`);
    const isThis = kind === name.kind && id === name.id && sequence === name.sequence;
    if (!isThis || !content) throw new RecordDamaged(key, 'is of something else');
    return content;
  }
}
