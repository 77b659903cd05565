import {
  ObjectMissing,
  type ObjectInfo,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import type { FileFindingKind, Findings } from './findings.js';
import type { ObjectDigests } from './object-digest.js';
import type { VerifiedDatabase } from './verified-database.js';

/** A row of `files`, as far as its bytes are checked against it. */
export interface CheckedFile {
  readonly id: number;
  readonly content_hash: string;
  readonly file_path: string;
  readonly file_size: string;
  readonly damaged_at: Date | null;
}

interface Verdict {
  readonly kind: FileFindingKind;
  readonly expected: string;
  readonly actual: string;
}

/** How often a file is looked at again that changes while it is. */
const ATTEMPTS = 3;

/** Compares stored bytes with what the rows say of them, and marks the files whose bytes are wrong. */
export class ContentCheck {
  bytesHashed = 0;
  recovered = 0;

  constructor(
    private readonly database: VerifiedDatabase,
    private readonly backend: StorageBackend,
    private readonly digests: ObjectDigests,
    private readonly findings: Findings,
    private readonly options: { readonly hash: boolean; readonly signal: AbortSignal },
  ) {}

  async check(file: CheckedFile): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      let verdict: Verdict | null;
      let seen: ObjectInfo | null;
      try {
        seen = await this.look(file.file_path);
        verdict = await this.judge(file, seen);
      } catch (error) {
        this.options.signal.throwIfAborted();
        // A disk that cannot be read now may be readable later, so this marks nothing.
        this.report(file, { kind: 'unreadable', expected: 'bytes', actual: String(error) });
        return;
      }
      if (verdict === null && (file.damaged_at === null || !this.options.hash)) return;
      if (await this.conclude(file, seen, verdict)) return;
    }
    this.report(file, { kind: 'unreadable', expected: 'bytes', actual: 'changes all the time' });
  }

  /**
   * Marks the file, or takes the mark back, if what was seen is still what lies there. The row's
   * lock keeps an upload from healing it in between.
   * @returns false where the object has changed and must be looked at again
   */
  private conclude(
    file: CheckedFile,
    seen: ObjectInfo | null,
    verdict: Verdict | null,
  ): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const [row] = await tx.query<{ file_path: string }>(
        'SELECT file_path FROM files WHERE id = $1 FOR UPDATE',
        [file.id],
      );
      // Collected meanwhile, or healed under another key.
      if (row?.file_path !== file.file_path) return true;
      if (!isSame(seen, await this.look(file.file_path))) return false;
      await tx.query(
        `UPDATE files SET damaged_at = CASE WHEN $2 THEN coalesce(damaged_at, now()) END
         WHERE id = $1`,
        [file.id, verdict !== null],
      );
      if (verdict === null) this.recovered += 1;
      else this.report(file, verdict);
      return true;
    });
  }

  private async judge(file: CheckedFile, seen: ObjectInfo | null): Promise<Verdict | null> {
    if (seen === null) return { kind: 'missing', expected: 'an object', actual: 'nothing' };
    if (seen.sizeBytes !== Number(file.file_size)) {
      return { kind: 'size', expected: file.file_size, actual: String(seen.sizeBytes) };
    }
    if (!this.options.hash) return null;
    const sha256 = await this.digest(file.file_path);
    return sha256 === file.content_hash
      ? null
      : { kind: 'content', expected: file.content_hash, actual: sha256 };
  }

  private async digest(key: string): Promise<string> {
    const reader = await this.backend.openReader(key);
    try {
      return await this.digests.digest(reader, (sizeBytes) => {
        this.options.signal.throwIfAborted();
        this.bytesHashed += sizeBytes;
      });
    } finally {
      await reader.close();
    }
  }

  private async look(key: string): Promise<ObjectInfo | null> {
    try {
      return await this.backend.info(key);
    } catch (error) {
      if (error instanceof ObjectMissing) return null;
      throw error;
    }
  }

  private report(file: CheckedFile, verdict: Verdict): void {
    this.findings.add({
      kind: verdict.kind,
      fileId: file.id,
      sha256: file.content_hash,
      path: file.file_path,
      expected: verdict.expected,
      actual: verdict.actual,
    });
  }
}

function isSame(before: ObjectInfo | null, now: ObjectInfo | null): boolean {
  return (
    before?.sizeBytes === now?.sizeBytes &&
    before?.modifiedAt.getTime() === now?.modifiedAt.getTime()
  );
}
