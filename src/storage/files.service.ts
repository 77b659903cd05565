import { Inject, Injectable } from '@nestjs/common';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import { AUDIT_TRAIL, type AuditTrail } from '../core/contracts/audit-trail.js';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { StagedPart } from '../core/contracts/staged-upload.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { FileId, Sha256 } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { NotFound } from '../core/problems.js';
import { StreamArtifactProducer } from './artifact/artifact.producer.js';
import { FileEntity } from './file.entity.js';
import type { FileView, ReusableFileView, UploadedFileView } from './files.view.js';
import { UploadHoldEntity } from './upload-hold.entity.js';

interface Present {
  readonly id: FileId;
  readonly sha256: Sha256;
  readonly size_bytes: string;
}

/** A user's uploads: making them, looking them up, giving them back. */
@Injectable()
export class FilesService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    @Inject(FILE_CATALOG) private readonly catalog: FileCatalog,
    private readonly producer: StreamArtifactProducer,
    @Inject(AUDIT_TRAIL) private readonly audit: Pick<AuditTrail, 'record'>,
  ) {}

  /**
   * Registers what a request brought, all or nothing. What it answers is what the caller said and
   * could know: whether others have the content, or what they say of it, is not in it.
   */
  async add(principal: Principal, parts: readonly StagedPart[]): Promise<UploadedFileView[]> {
    const staged = parts.map(({ artifact }) => artifact);
    const artifacts = await this.producer.registerFor(staged, principal.userId, principal);
    return artifacts.map(({ fileId, deduplicated, readableBefore }, index) => {
      const { name, artifact } = parts[index]!;
      return {
        id: fileId,
        sha256: artifact.sha256,
        sizeBytes: artifact.sizeBytes,
        name,
        fileType: artifact.fileType,
        mimeType: artifact.mimeType,
        compressionType: artifact.compressionType,
        deduplicated: deduplicated && readableBefore,
      };
    });
  }

  /** @throws NotFound */
  async get(principal: Principal, fileId: FileId): Promise<FileView> {
    return this.unitOfWork.read(async ({ manager }) => {
      const file = await manager.findOneBy(FileEntity, { id: fileId });
      if (!file) throw new NotFound(`File ${fileId}`);
      const hold = await manager.findOneBy(UploadHoldEntity, { fileId, userId: principal.userId });
      const { fileType, mimeType, compressionType } = hold ?? file;
      const name = hold?.metadata['name'];
      return {
        id: fileId,
        sha256: file.contentHash,
        sizeBytes: Number(file.fileSize),
        name: typeof name === 'string' ? name : null,
        fileType,
        mimeType,
        compressionType,
        uploadedAt: hold?.createdAt.toISOString() ?? null,
        heldUntil: hold?.expiresAt.toISOString() ?? null,
        damaged: file.damagedAt !== null,
      };
    });
  }

  /**
   * Gives the caller's own upload back.
   * @throws NotFound where the caller holds none
   */
  async release(principal: Principal, fileId: FileId): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      // The file before the hold, as uploading locks them.
      await tx.query('SELECT 1 FROM files WHERE id = $1 FOR NO KEY UPDATE', [fileId]);
      const [hold] = await tx.query(
        'DELETE FROM upload_holds WHERE file_id = $1 AND user_id = $2 RETURNING file_id',
        [fileId, principal.userId],
      );
      if (!hold) throw new NotFound(`An upload of yours of file ${fileId}`);
      await this.catalog.releaseReferences(tx, [fileId]);
      await this.audit.record(tx, [
        { action: 'file.released', resourceType: 'file', resourceId: String(fileId) },
      ]);
    });
  }

  /** Which of these contents the caller may use without sending them; damaged ones it may not. */
  async reusable(principal: Principal, digests: readonly Sha256[]): Promise<ReusableFileView[]> {
    return this.unitOfWork.read(async (reader) => {
      const present = await reader.query<Present>(
        `SELECT id, content_hash AS sha256, file_size AS size_bytes FROM files
         WHERE content_hash = ANY ($1::char(64)[]) AND damaged_at IS NULL ORDER BY id`,
        [digests],
      );
      const readable = await this.policy.readableFiles(
        reader,
        principal,
        present.map(({ id }) => id),
      );
      return present
        .filter(({ id }) => readable.has(id))
        .map(({ id, sha256, size_bytes }) => ({ id, sha256, sizeBytes: Number(size_bytes) }));
    });
  }
}
