import { Inject, Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import {
  ARTIFACT_PRODUCER,
  type ArtifactProducer,
  type StagedArtifact,
} from '../core/contracts/artifact-producer.js';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import {
  STORAGE_QUOTAS,
  type ChargedDataset,
  type StorageQuotas,
} from '../core/contracts/storage-quotas.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { hintsOfName } from '../core/file-names.js';
import type { DatasetId, FileId, UserId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { receivedFiles } from './archive/tar-intake.js';
import { HAS_QUOTA } from './dataset-limits.js';
import { Drafts, type Draft } from './drafts.js';
import { refusePurged } from './purged-files.js';
import { insertEntries } from './version-insert.js';

/** So much of an archive is stored at once, in one transaction: so many files, or small ones' bytes. */
const BATCH = { files: 4096, bytes: 16 * 1024 * 1024 };

/** A file of a batch: in memory while it is small, staged where it is not. */
type BatchedFile =
  | { readonly path: string; readonly content: Buffer }
  | { readonly path: string; readonly staged: StagedArtifact };

/**
 * Puts a whole directory into a draft with one request. What arrives goes into a scratch, batch by
 * batch, and into the draft in one transaction at the end: either all of it is there or nothing.
 */
@Injectable()
export class DraftArchives {
  constructor(
    @Inject(ARTIFACT_PRODUCER) private readonly artifacts: ArtifactProducer,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly drafts: Drafts,
    @Inject(STORAGE_QUOTAS) private readonly quotas: StorageQuotas,
  ) {}

  /**
   * Receives a tar stream of any size in constant memory.
   * @throws ArchiveRefused, UploadAborted, StorageFull, QuotaExceeded, NotFound
   */
  async receive(
    dataset: DatasetId,
    draftId: number,
    author: UserId,
    body: Readable,
  ): Promise<Draft> {
    const scratch = await this.unitOfWork.run(async (tx) =>
      this.drafts.openScratch(tx, await this.drafts.lock(tx, dataset, draftId), author),
    );
    try {
      await this.#fill(scratch, body);
      return await this.unitOfWork.run(async (tx) =>
        this.drafts.absorb(tx, await this.drafts.lock(tx, dataset, draftId), scratch),
      );
    } catch (error) {
      await this.unitOfWork.run((tx) => this.drafts.discard(tx, { id: scratch }));
      throw error;
    }
  }

  async #fill(scratch: VersionId, body: Readable): Promise<void> {
    let batch: BatchedFile[] = [];
    let bytes = 0;
    // While one batch is registered the next is staged and the one after that is read, and no more.
    let storing: Promise<void> = Promise.resolve();
    try {
      for await (const { path, content, sizeBytes } of receivedFiles(body)) {
        if (content instanceof Readable) {
          // A stream must be read to its end before the archive goes on to the next file.
          batch.push({ path, staged: await this.#stage(path, content, sizeBytes) });
        } else {
          batch.push({ path, content });
          bytes += sizeBytes;
        }
        if (batch.length < BATCH.files && bytes < BATCH.bytes) continue;
        const previous = storing;
        storing = this.#store(scratch, batch, previous);
        // Seen when it is awaited; until then nobody looks.
        storing.catch(() => undefined);
        [batch, bytes] = [[], 0];
        await previous;
      }
      await this.#store(scratch, batch, storing);
    } catch (error) {
      await storing.catch(() => undefined);
      await this.artifacts.discard(stagedOf(batch));
      throw error;
    }
  }

  #stage(path: string, stream: Readable, expectedBytes: number): Promise<StagedArtifact> {
    return this.artifacts.stage({ stream, expectedBytes, ...hintsOfName(path) });
  }

  /** Stages a batch, and registers it once the one before it is; all of it or nothing. */
  async #store(
    scratch: VersionId,
    batch: readonly BatchedFile[],
    previous: Promise<void>,
  ): Promise<void> {
    let staged = stagedOf(batch);
    try {
      const small = batch.flatMap((file) => ('content' in file ? [file] : []));
      const inputs = small.map(({ path, content }) => ({ content, ...hintsOfName(path) }));
      const stagedSmall = (await this.artifacts.stageAll(inputs)).values();
      staged = batch.map((file) =>
        'staged' in file ? file.staged : (stagedSmall.next().value as StagedArtifact),
      );
      await previous;
      await this.unitOfWork.run((tx) => this.#insert(tx, scratch, batch, staged));
    } catch (error) {
      await this.artifacts.discard(staged);
      throw error;
    }
  }

  async #insert(
    tx: Tx,
    scratch: VersionId,
    batch: readonly { path: string }[],
    staged: readonly StagedArtifact[],
  ): Promise<void> {
    const [kept] = await tx.query<ChargedDataset & { hasPurges: boolean }>(
      `SELECT d.id AS "datasetId", d.has_purges AS "hasPurges", ${HAS_QUOTA} AS "hasQuota"
       FROM dataset_versions v JOIN datasets d ON d.id = v.dataset_id WHERE v.id = $1 FOR KEY SHARE`,
      [scratch],
    );
    if (!kept) throw new NotFound('The draft');
    const artifacts = await this.artifacts.register(tx, staged, {
      holder: null,
      isReferredTo: true,
    });
    const fileIds = artifacts.map(({ fileId }) => fileId);
    if (kept.hasPurges) await refusePurged(tx, kept.datasetId, fileIds);
    // Of two files of one name the later counts, as when the archive is unpacked.
    const last = new Map(batch.map(({ path }, index) => [path, index]));
    const replaced = await tx.query<{ fileId: FileId }>(
      `DELETE FROM dataset_version_files WHERE version_id = $1 AND component_name = ANY($2::text[])
       RETURNING file_id AS "fileId"`,
      [scratch, [...last.keys()]],
    );
    const superseded = batch.flatMap(({ path }, index) => {
      const fileId = artifacts[index]?.fileId as FileId;
      return last.get(path) === index ? [] : [fileId];
    });
    await this.files.releaseReferences(tx, [
      ...replaced.map(({ fileId }) => fileId),
      ...superseded,
    ]);
    await this.quotas.chargeDataset(tx, kept, [...new Set(fileIds)]);
    await insertEntries(
      tx,
      scratch,
      [...last].map(([path, index]) => {
        const fileId = artifacts[index]?.fileId as FileId;
        return [path, { fileId, metadata: null }];
      }),
      null,
    );
  }
}

/** What of a batch is staged already. */
function stagedOf(batch: readonly BatchedFile[]): StagedArtifact[] {
  return batch.flatMap((file) => ('staged' in file ? [file.staged] : []));
}
