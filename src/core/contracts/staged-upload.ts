import type { Request, Response } from 'express';
import { token } from '../token.js';
import type { StagedArtifact } from './artifact-producer.js';

/** A content that came with a request, durable in staging. */
export interface StagedPart {
  /** The form field that it came in; null for a raw body. */
  readonly field: string | null;
  /** What the sender calls it: the part's filename as sent, folders and all; null without one. */
  readonly name: string | null;
  readonly artifact: StagedArtifact;
}

/** What a request's body brought. */
export interface StagedUpload {
  /** `none` where the body was not one to stage, such as JSON on an operation that takes both. */
  readonly kind: 'raw' | 'multipart' | 'none';
  /** The contents, in the order in which they came. */
  readonly parts: readonly StagedPart[];
  /** The form's text fields; each name comes once. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Which bodies an operation has staged: `multipart` leaves every other body alone. */
export type StagedBodies = 'any' | 'multipart';

/**
 * Receives the contents that a request's body holds, in one pass, before its handler runs. Register
 * parts with `ArtifactProducer.register`; whatever nobody registered is dropped with the response.
 * Operations ask for it with `@ReceivesUpload()` of platform/http and `@Upload()` on a parameter.
 *
 * @throws InvalidInput, DigestMismatch, LengthMismatch, UploadAborted, StorageFull
 */
export interface UploadReceiver {
  /** Asked twice about one request it reads the body once. Sets `req.bodyFingerprint`. */
  receive(req: Request, res: Response, bodies: StagedBodies): Promise<StagedUpload>;
}

export const UPLOAD_RECEIVER = token<UploadReceiver>('UPLOAD_RECEIVER');
