import type { Request, Response } from 'express';
import type { Readable } from 'node:stream';
import type { FileId, Sha256, UserId } from '../ids.js';
import type { JsonObject } from '../json.js';
import { Problem } from '../problems.js';
import { token } from '../token.js';
import type { Reader, Tx } from './unit-of-work.js';

/** What is known of a stored content. */
export interface StoredFile {
  readonly fileId: FileId;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  readonly fileType: string | null;
  readonly mimeType: string;
  readonly compressionType: string | null;
  readonly metadata: JsonObject;
  readonly createdAt: Date;
}

/** Looking stored contents up, reading them, and counting who needs them. */
export interface FileCatalog {
  /** The files of these ids; unknown ids are left out. */
  find(tx: Reader, ids: readonly FileId[]): Promise<Map<FileId, StoredFile>>;

  /** The files with these digests; unknown digests are left out. */
  findByDigest(tx: Reader, digests: readonly Sha256[]): Promise<Map<Sha256, StoredFile>>;

  /**
   * Adds references, one for each time an id is listed. Locks the rows until the
   * transaction ends, so the collector passes them by; in the order of their digests, as registering
   * uploads does, so that the two never wait for each other in a circle.
   * @throws FileMissing naming the ids that are gone
   */
  addReferences(tx: Tx, ids: readonly FileId[]): Promise<void>;

  /** Gives references back, one for each time an id is listed. */
  releaseReferences(tx: Tx, ids: readonly FileId[]): Promise<void>;

  /**
   * Reads bytes [start, end) of a file, or all of it. The caller destroys the stream.
   * @throws FileMissing, FileDamaged
   */
  open(file: FileId, range?: { start: number; end: number }): Promise<Readable>;

  /**
   * Where a file's bytes lie on this machine's disk, to be read and never written; null where they lie
   * elsewhere and `open` is the way to them, as it is where this is left out.
   * @throws FileMissing, FileDamaged
   */
  localPath?(file: FileId): Promise<string | null>;
}

export const FILE_CATALOG = token<FileCatalog>('FILE_CATALOG');

/** Getting rid of a content ahead of its time. */
export interface ContentDisposal {
  /**
   * Ends every uploader's hold on a file, or that of one of them, and lets the next collection take it without grace where
   * nothing refers to it any more. Call it in the transaction that has released the references.
   * @returns whether nothing refers to it
   */
  expel(tx: Tx, file: FileId, holder?: UserId): Promise<{ isGone: boolean }>;
}

export const CONTENT_DISPOSAL = token<ContentDisposal>('CONTENT_DISPOSAL');

/** What a download is called and how long it stays true. */
export interface ContentOptions {
  /** The name offered to whoever saves it; any Unicode. Null names it after the file itself. */
  readonly downloadName: string | null;
  /** The URL can never answer with other bytes: cacheable for ever. */
  readonly immutable: boolean;
}

/**
 * Answers a GET or HEAD with a file's bytes: ranges (RFC 9110, section 14), conditions (section
 * 13), `Repr-Digest` (RFC 9530), and headers under which an uploaded page can never run here.
 */
export interface ContentResponder {
  respond(req: Request, res: Response, file: FileId, options: ContentOptions): Promise<void>;
}

export const CONTENT_RESPONDER = token<ContentResponder>('CONTENT_RESPONDER');

/** Files that a request names do not exist, or are not the caller's to use. */
export class FileMissing extends Problem {
  static override readonly kind = {
    code: 'file-missing',
    status: 422,
    title: 'A file is missing',
    isRefusal: true,
  };

  constructor(fileIds: readonly number[]) {
    const named = fileIds.slice(0, 10).join(', ') + (fileIds.length > 10 ? ' …' : '');
    super(`No such file, or not yours to use: ${named}. Upload the content, then use its new id.`, {
      fileIds: [...fileIds],
    });
  }
}

/** A file's bytes are lost or no longer what was stored; only the same content can heal it. */
export class FileDamaged extends Problem {
  static override readonly kind = {
    code: 'file-damaged',
    // Not the server's fault to be retried later: the caller can end this state, nobody else will.
    status: 409,
    title: 'The file is damaged',
  };

  constructor(fileId: number) {
    super(`The stored bytes of file ${fileId} are damaged. Uploading the same content heals it.`, {
      fileId,
    });
  }
}
