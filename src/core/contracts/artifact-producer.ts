import type { Readable } from 'node:stream';
import type { FileId, Sha256, UserId } from '../ids.js';
import type { JsonObject } from '../json.js';
import { Problem } from '../problems.js';
import { token } from '../token.js';
import type { StagedObject } from './storage-backend.js';
import type { Tx } from './unit-of-work.js';

/** Bytes on their way in, and what is known about them. */
export interface ArtifactInput {
  /** Read once, to its end; destroyed when anything fails, unless it is to be left open. */
  readonly stream: Readable;
  /** Leaves a stream that failed as it is: its owner ends it, or answers through it. */
  readonly leaveOpen?: boolean;
  /** What kind of file it is: usually the name's extension in lower case, such as `csv`. */
  readonly fileType?: string | null;
  /** Media type (RFC 9110); `application/octet-stream` when unknown. */
  readonly mimeType?: string | null;
  /** How the bytes themselves are compressed, such as `gzip`. */
  readonly compressionType?: string | null;
  readonly metadata?: JsonObject;
  /** The digest the sender promised (RFC 9530); other bytes are refused. */
  readonly expectedSha256?: Sha256 | null;
  /** The length the sender promised, in bytes; any other length is refused. */
  readonly expectedBytes?: number | null;
}

/** A small content that is in memory already, and what is known about it. */
export interface SmallArtifactInput extends Pick<ArtifactInput, 'fileType' | 'mimeType'> {
  readonly content: Uint8Array;
}

/** Bytes in staging that wait to be registered or discarded. */
export interface StagedArtifact extends StagedObject {
  readonly sha256: Sha256;
  readonly fileType: string | null;
  readonly mimeType: string;
  readonly compressionType: string | null;
  readonly metadata: JsonObject;
}

/** A registered artifact. */
export interface Artifact {
  readonly fileId: FileId;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  /** The content was there before. Not to be told to anybody who could not read it. */
  readonly deduplicated: boolean;
}

/** On whose behalf bytes are registered: its hold keeps them until it is used or expires. */
export interface Registration {
  readonly holder: UserId | null;
  /**
   * The caller refers to each of the contents once, by rows that it writes in the same transaction:
   * counted here, at once. Only without a holder.
   */
  readonly isReferredTo?: boolean;
  /** The contents are the server's own notes: what they are about is told of, and they are not. */
  readonly isInternal?: boolean;
  /**
   * Work of the same transaction that needs the rows and not yet the bytes: done while these become
   * final, which takes the disk as long as some statements take.
   */
  readonly meanwhile?: (artifacts: readonly Artifact[]) => Promise<void>;
}

/**
 * The single way for bytes to enter. One pass over the stream hashes and stages it; registering
 * stores each content once, whoever else uploads it at the same moment.
 *
 * @throws DigestMismatch, LengthMismatch, UploadAborted, StorageFull
 */
export interface ArtifactProducer {
  /**
   * Stages and registers in one go. Concurrent calls share transactions; inside a transaction it
   * joins that one.
   */
  createArtifact(input: ArtifactInput, registration: Registration): Promise<Artifact>;

  /** Hashes and stages a stream without a transaction; durable when it resolves. */
  stage(input: ArtifactInput): Promise<StagedArtifact>;

  /**
   * Hashes and stages many small contents together, all of them or none, in their order: much faster
   * than one by one. They are durable once `register` has resolved.
   */
  stageAll(inputs: readonly SmallArtifactInput[]): Promise<StagedArtifact[]>;

  /**
   * Registers staged bytes in the caller's transaction: makes them final, or drops them once it has
   * committed where the content is there already. When it rolls back they are dropped as well.
   * A registered file has no reference yet but the holder's, unless `isReferredTo`; add yours in the
   * same transaction.
   */
  register(
    tx: Tx,
    staged: readonly StagedArtifact[],
    registration: Registration,
  ): Promise<Artifact[]>;

  /**
   * Drops staged bytes that will not be registered; those that `register` was given are its own and
   * stay. Never throws.
   */
  discard(staged: readonly StagedArtifact[]): Promise<void>;
}

export const ARTIFACT_PRODUCER = token<ArtifactProducer>('ARTIFACT_PRODUCER');

/** The bytes that arrived are not the ones that the sender promised. */
export class DigestMismatch extends Problem {
  static override readonly kind = {
    code: 'digest-mismatch',
    status: 400,
    title: 'The content is not what was promised',
  };

  constructor(expected: string, actual: string) {
    super(`The content's SHA-256 is ${actual}, not ${expected} as promised; send it again.`, {
      expected,
      actual,
    });
  }
}

/** More or fewer bytes arrived than the sender promised. */
export class LengthMismatch extends Problem {
  static override readonly kind = {
    code: 'length-mismatch',
    status: 400,
    title: 'The content has another length than promised',
  };

  constructor(expectedBytes: number, actualBytes: number) {
    super(`${actualBytes} bytes arrived where ${expectedBytes} were promised; send it again.`, {
      expectedBytes,
      actualBytes,
    });
  }
}

/** The sender went away before the end. */
export class UploadAborted extends Problem {
  static override readonly kind = {
    code: 'upload-aborted',
    status: 400,
    title: 'The upload broke off',
  };

  constructor(detail = 'The connection was closed before the content had arrived; send it again.') {
    super(detail);
  }
}

/** There is no room for the bytes. */
export class StorageFull extends Problem {
  static override readonly kind = {
    code: 'storage-full',
    status: 507,
    title: 'The storage is full',
  };

  constructor(
    detail = 'There is no room left for this content; nothing was stored. Free space and try again.',
  ) {
    super(detail);
  }
}
