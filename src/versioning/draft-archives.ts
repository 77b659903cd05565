import { Inject, Injectable } from '@nestjs/common';
import { Readable } from 'node:stream';
import {
  ARTIFACT_PRODUCER,
  type ArtifactProducer,
  type StagedArtifact,
} from '../core/contracts/artifact-producer.js';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { hintsOfName } from '../core/file-names.js';
import type { DatasetId, FileId, UserId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { receivedFiles, type ReceivedFile } from './archive/tar-intake.js';
import { Drafts, type Draft } from './drafts.js';
import { refusePurged } from './purged-files.js';
import { insertEntries } from './version-insert.js';

/** How many files one transaction registers. */
const BATCH = 256;

/** How many small files are being stored at once. */
const LANES = 16;

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
  ) {}

  /**
   * Receives a tar stream of any size in constant memory.
   * @throws ArchiveRefused, UploadAborted, StorageFull, NotFound
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
    const lanes: Promise<unknown>[] = Array.from({ length: LANES }, () => Promise.resolve());
    let batch: { path: string; staged: Promise<StagedArtifact> }[] = [];
    let stored: Promise<void> = Promise.resolve();
    try {
      for await (const file of receivedFiles(body)) {
        const lane = batch.length % LANES;
        const staged =
          file.content instanceof Readable
            ? this.#stage(file)
            : (lanes[lane] as Promise<unknown>).then(() => this.#stage(file));
        lanes[lane] = staged.catch(() => undefined);
        batch.push({ path: file.path, staged });
        // A stream must be read to its end before the archive goes on to the next file.
        if (file.content instanceof Readable) await staged;
        if (batch.length === BATCH) {
          await stored;
          stored = this.#store(scratch, batch);
          stored.catch(() => undefined);
          batch = [];
        }
      }
      await stored;
      await this.#store(scratch, batch);
    } catch (error) {
      await stored.catch(() => undefined);
      const left = await Promise.allSettled(batch.map(({ staged }) => staged));
      await this.artifacts.discard(
        left.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
      );
      throw error;
    }
  }

  #stage({ path, sizeBytes, content }: ReceivedFile): Promise<StagedArtifact> {
    return this.artifacts.stage({
      stream: content instanceof Readable ? content : Readable.from([content]),
      expectedBytes: sizeBytes,
      ...hintsOfName(path),
    });
  }

  async #store(
    scratch: VersionId,
    batch: readonly { path: string; staged: Promise<StagedArtifact> }[],
  ): Promise<void> {
    const results = await Promise.allSettled(batch.map(({ staged }) => staged));
    const staged = results.flatMap((result) =>
      result.status === 'fulfilled' ? [result.value] : [],
    );
    try {
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
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
    const [kept] = await tx.query<{ datasetId: DatasetId; hasPurges: boolean }>(
      `SELECT d.id AS "datasetId", d.has_purges AS "hasPurges"
       FROM dataset_versions v JOIN datasets d ON d.id = v.dataset_id WHERE v.id = $1 FOR KEY SHARE`,
      [scratch],
    );
    if (!kept) throw new NotFound('The draft');
    const artifacts = await this.artifacts.register(tx, staged, { holder: null });
    if (kept.hasPurges) {
      await refusePurged(
        tx,
        kept.datasetId,
        artifacts.map(({ fileId }) => fileId),
      );
    }
    // Of two files of one name the later counts, as when the archive is unpacked.
    const byPath = new Map(
      batch.map(({ path }, index) => [path, artifacts[index]?.fileId as FileId]),
    );
    const replaced = await tx.query<{ fileId: FileId }>(
      `DELETE FROM dataset_version_files WHERE version_id = $1 AND component_name = ANY($2::text[])
       RETURNING file_id AS "fileId"`,
      [scratch, [...byPath.keys()]],
    );
    await this.files.addReferences(tx, [...byPath.values()]);
    await this.files.releaseReferences(
      tx,
      replaced.map(({ fileId }) => fileId),
    );
    await insertEntries(
      tx,
      scratch,
      [...byPath].map(([path, fileId]) => [path, { fileId, metadata: null }]),
      null,
    );
  }
}
