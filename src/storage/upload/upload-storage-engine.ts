import type { Request } from 'express';
import type { StorageEngine } from 'multer';
import type { ArtifactProducer, StagedArtifact } from '../../core/contracts/artifact-producer.js';
import type { Sha256 } from '../../core/ids.js';
import { describeUpload } from './media-type.js';

/** The type of a part that says none (RFC 7578, section 4.4), as many clients leave it. */
const UNSAID_IN_FORMS = 'text/plain';

/** A body, or a part of one, that is to be staged: multer's file with what a raw body says more. */
export type IncomingFile = Pick<Express.Multer.File, 'originalname' | 'mimetype' | 'stream'> & {
  readonly fileType?: string | undefined;
  readonly compressionType?: string | undefined;
  readonly expectedSha256?: Sha256 | null;
  readonly expectedBytes?: number | null;
};

/**
 * multer's storage engine (https://github.com/expressjs/multer/blob/main/StorageEngine.md) that
 * stages each file as it arrives, hashed in the same pass. A file's `path` is its staged key.
 */
export class UploadStorageEngine implements StorageEngine {
  private readonly staged = new Map<string, StagedArtifact>();

  constructor(private readonly producer: ArtifactProducer) {}

  _handleFile(
    _req: Request,
    file: IncomingFile,
    callback: (error?: unknown, info?: Partial<Express.Multer.File>) => void,
  ): void {
    this.stage(file).then(
      ({ stagedKey, sizeBytes }) => callback(null, { path: stagedKey, size: sizeBytes }),
      (error: unknown) => callback(error),
    );
  }

  _removeFile(
    _req: Request,
    file: Pick<Express.Multer.File, 'path'>,
    callback: (error: Error | null) => void,
  ): void {
    void this.producer.discard([this.take(file.path)]).then(() => callback(null));
  }

  /** Hands over what was staged under a key; it is the caller's from then on. */
  take(stagedKey: string): StagedArtifact {
    const artifact = this.staged.get(stagedKey);
    if (!artifact) throw new Error(`Nothing was staged here under ${stagedKey}`);
    this.staged.delete(stagedKey);
    return artifact;
  }

  private async stage(file: IncomingFile): Promise<StagedArtifact> {
    const artifact = await this.producer.stage({
      stream: file.stream,
      // The request's connection carries the answer, also that it failed.
      leaveOpen: true,
      ...describeUpload(file.originalname, {
        mimeType: file.mimetype === UNSAID_IN_FORMS ? undefined : file.mimetype,
        fileType: file.fileType,
        compressionType: file.compressionType,
      }),
      // The name alone: what else a form says belongs to whoever handles it.
      metadata: file.originalname === '' ? {} : { name: file.originalname },
      expectedSha256: file.expectedSha256 ?? null,
      expectedBytes: file.expectedBytes ?? null,
    });
    this.staged.set(artifact.stagedKey, artifact);
    return artifact;
  }
}
