import { Inject, Injectable } from '@nestjs/common';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import { FILE_CATALOG, FileMissing, type FileCatalog } from '../core/contracts/file-catalog.js';
import { STORAGE_QUOTAS, type StorageQuotas } from '../core/contracts/storage-quotas.js';
import type { PreparedSql, Tx } from '../core/contracts/unit-of-work.js';
import {
  NothingChanged,
  type CommitRequest,
  type VersionOperation,
  type VersionRecord,
} from '../core/contracts/versions.js';
import type { FileId, Sha256, UserId, VersionId } from '../core/ids.js';
import { InvalidInput, NotFound } from '../core/problems.js';
import { Checks } from './checks.js';
import type { OverlayHeader } from './graph/document.js';
import {
  applyOperations,
  totalsDelta,
  touchedPaths,
  type Change,
  type Content,
} from './graph/overlay.js';
import { parsePath } from './graph/path.js';
import { parsePointerName } from './graph/ref.js';
import { Lineages } from './lineages.js';
import { lockBranch, requireHead, type LockedBranch } from './locked-branch.js';
import { OverlayDocuments } from './overlay-documents.js';
import { EMPTY_POSITION, readPosition, type ReadPosition } from './position.js';
import { refusePurged, withPurges } from './purged-files.js';
import { PointerExists } from './versioning.problems.js';
import {
  changedEntries,
  insertEntries,
  insertVersion,
  type ChangedEntry,
  type NewVersion,
  type VersionRow,
} from './version-insert.js';
import { VersionTree } from './version-tree.js';

export const MAX_MESSAGE_LENGTH = 10_000;

const MOVE_POINTER: PreparedSql = {
  name: 'move-pointer',
  text: 'UPDATE dataset_pointers SET dataset_version_id = $2, updated_at = now() WHERE id = $1',
};

const AUTHOR: PreparedSql = {
  name: 'author-and-time',
  text: `SELECT name, date_trunc('milliseconds', clock_timestamp()) AS time FROM users WHERE id = $1`,
};

/** What a version changes against the branch's head, wherever that is kept until it is stored. */
export interface Overlay {
  readonly changes: number;
  /** Of the whole version. */
  readonly totals: { readonly files: number; readonly sizeBytes: number };
  /** In path order, each time anew. */
  entries(): AsyncIterable<ChangedEntry>;
  /** Stores the version with its entries and their references. */
  store(tx: Tx, row: VersionRow): Promise<VersionId>;
}

/** Makes versions: the one place where rows, totals, digest, references and event come together. */
@Injectable()
export class Commits {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    @Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository,
    private readonly tree: VersionTree,
    private readonly lineages: Lineages,
    private readonly documents: OverlayDocuments,
    private readonly checks: Checks,
    @Inject(STORAGE_QUOTAS) private readonly quotas: StorageQuotas,
  ) {}

  /** See `VersionWriter.commit`. */
  async commit(tx: Tx, request: CommitRequest): Promise<VersionRecord> {
    requireOperations(request.operations);
    const branch = await lockBranch(tx, request.datasetId, request.branch);
    if (request.expectedParent !== undefined) {
      await requireHead(tx, branch, request.expectedParent);
    }
    return this.commitOn(tx, branch, request);
  }

  /**
   * Applies operations to a locked branch and makes what they amount to its next version.
   * @throws PathMissing, PathExists, NothingChanged, FileMissing, InvalidInput
   */
  async commitOn(
    tx: Tx,
    branch: LockedBranch,
    request: Pick<CommitRequest, 'author' | 'message' | 'operations'>,
  ): Promise<VersionRecord> {
    const { author, message, operations } = request;
    requireOperations(operations);
    const position = await this.positionOf(tx, branch);
    const before = await this.tree.lookup(tx, position, touchedPaths(operations));
    const changes = applyOperations(before, operations);
    if (changes.length === 0) throw new NothingChanged();
    const overlay = await this.overlayOf(tx, branch, before, changes);
    return this.record(tx, branch, { author, message, mergeParent: null, position }, overlay);
  }

  /** What a branch's head is read from. */
  async positionOf(tx: Tx, { head }: LockedBranch): Promise<ReadPosition> {
    return head ? readPosition(tx, head.id) : EMPTY_POSITION;
  }

  /**
   * Stores a version as the branch's new head.
   * @throws ChecksFailed
   */
  async record(
    tx: Tx,
    branch: LockedBranch,
    version: NewVersion,
    overlay: Overlay,
  ): Promise<VersionRecord> {
    const { datasetId, head } = branch;
    await this.checks.require(tx, {
      datasetId,
      branch: branch.branch,
      parentId: head?.id ?? null,
      fileCount: overlay.totals.files,
      totalSizeBytes: overlay.totals.sizeBytes,
      changes: () => overlay.entries(),
      has: (paths) => this.#pathsWith(tx, version.position, overlay, paths),
    });
    const author = await authorOf(tx, version.author);
    const header: OverlayHeader = {
      dataset: { id: datasetId, name: branch.datasetName },
      branch: branch.branch,
      number: branch.versionNumber,
      parents: [head, version.mergeParent].flatMap((parent) => parent?.digest ?? []),
      author: { id: version.author, name: author.name },
      time: author.time.toISOString(),
      message: version.message,
      fileCount: overlay.totals.files,
      totalSizeBytes: overlay.totals.sizeBytes,
    };
    return this.documents.store(tx, header, overlay.entries(), (document) =>
      this.#store(tx, branch, version, overlay, { committedAt: author.time, document }),
    );
  }

  /** Stores all that names a version's document. */
  async #store(
    tx: Tx,
    branch: LockedBranch,
    version: NewVersion,
    overlay: Overlay,
    { committedAt, document }: Pick<VersionRow, 'committedAt' | 'document'>,
  ): Promise<VersionRecord> {
    const { datasetId: dataset, versionNumber, head } = branch;
    const { changes, totals } = overlay;
    const parentId = head?.id ?? null;
    const { place, segments } = await this.lineages.placeChild(tx, {
      dataset,
      parent: parentId,
      position: version.position,
      changes,
    });
    const id = await overlay.store(tx, { branch, version, committedAt, document, place });
    await tx.query(MOVE_POINTER, [branch.pointerId, id]);
    const { files: fileCount, sizeBytes: totalSizeBytes } = totals;
    await this.lineages.compactWhereWorthwhile(tx, { id, dataset, segments, fileCount, changes });
    await this.#tell(tx, branch, id, document.digest);
    return {
      id,
      datasetId: dataset,
      versionNumber,
      digest: document.digest,
      parentId,
      mergeParentId: version.mergeParent?.id ?? null,
      message: version.message,
      createdBy: version.author,
      committedAt,
      fileCount,
      totalSizeBytes,
    };
  }

  /** @throws PointerExists */
  async tag(tx: Tx, version: VersionRecord, name: string): Promise<void> {
    const tag = parsePointerName(name, 'versionTag');
    const made = await tx.query(
      `INSERT INTO dataset_pointers (dataset_id, pointer_name, dataset_version_id, is_tag)
       VALUES ($1, $2, $3, TRUE) ON CONFLICT DO NOTHING RETURNING id`,
      [version.datasetId, tag, version.id],
    );
    if (made.length === 0) throw new PointerExists(tag);
    await this.events.publish(tx, 'dataset.tag.created', `dataset/${version.datasetId}`, {
      datasetId: version.datasetId,
      tag,
      digest: version.digest,
    });
  }

  /**
   * An overlay of changes that are held in memory.
   * @param before what the head has at the changed paths
   * @param changes against the head, in path order
   * @throws FileMissing, PurgedContentRefused; storing it QuotaExceeded
   */
  async overlayOf(
    tx: Tx,
    { datasetId, head, hasPurges, hasQuota }: LockedBranch,
    before: ReadonlyMap<string, Content>,
    changes: readonly Change[],
  ): Promise<Overlay> {
    const put = [...new Set(changes.flatMap(([, content]) => content?.fileId ?? []))];
    const replaced = changes.flatMap(([path]) => before.get(path)?.fileId ?? []);
    const found = await this.files.find(tx, [...new Set([...put, ...replaced])]);
    const files = await withPurges(tx, found);
    const missing = put.filter((id) => !files.has(id));
    if (missing.length > 0) throw new FileMissing(missing);
    if (hasPurges) await refusePurged(tx, datasetId, put);
    const sizeOf = (id: FileId): number => files.get(id)?.sizeBytes ?? 0;
    const sizeBefore = (path: string): number | null => {
      const content = before.get(path);
      return content ? sizeOf(content.fileId) : null;
    };
    const delta = totalsDelta(changes, sizeBefore, sizeOf);
    const totals = {
      files: (head?.fileCount ?? 0) + delta.files,
      sizeBytes: (head?.totalSizeBytes ?? 0) + delta.sizeBytes,
    };
    return {
      changes: changes.length,
      totals,
      entries: () => changedEntries(changes, files),
      store: async (inTx, row) => {
        const id = await insertVersion(inTx, row, totals);
        // Before the rows that refer to them: what the collector has taken meanwhile is missing.
        await this.files.addReferences(
          inTx,
          changes.flatMap(([, content]) => content?.fileId ?? []),
        );
        await this.quotas.chargeDataset(inTx, { datasetId, hasQuota }, put);
        await insertEntries(inTx, id, changes, row.place);
        return id;
      },
    };
  }

  /** Those of some paths that a version with an overlay over a position has. */
  async #pathsWith(
    tx: Tx,
    position: ReadPosition,
    overlay: Overlay,
    paths: readonly string[],
  ): Promise<Set<string>> {
    const asked = new Set(paths);
    const present = new Set((await this.tree.lookup(tx, position, paths)).keys());
    for await (const { path, entry } of overlay.entries()) {
      if (!asked.has(path)) continue;
      if (entry) present.add(path);
      else present.delete(path);
    }
    return present;
  }

  async #tell(tx: Tx, branch: LockedBranch, id: VersionId, digest: Sha256): Promise<void> {
    if (!branch.isTouched) await this.datasets.touch(tx, branch.datasetId);
    await this.events.publish(tx, 'dataset.version.created', `dataset/${branch.datasetId}`, {
      datasetId: branch.datasetId,
      versionId: id,
      versionNumber: branch.versionNumber,
      digest,
      branch: branch.branch,
    });
  }
}

/** @throws InvalidInput for no operations, and for a path that cannot stand in a version */
function requireOperations(operations: readonly VersionOperation[]): void {
  if (operations.length === 0) {
    const message = 'takes at least one operation';
    throw new InvalidInput(`operations ${message}.`, [{ at: 'operations', message }]);
  }
  operations.forEach((operation, index) => {
    parsePath(operation.path, `operations.${index}.path`);
    if (operation.op === 'move') parsePath(operation.from, `operations.${index}.from`);
  });
}

/** A user's name, and the database's time. */
async function authorOf(tx: Tx, id: UserId): Promise<{ name: string; time: Date }> {
  const [author] = await tx.query<{ name: string; time: Date }>(AUTHOR, [id]);
  if (!author) throw new NotFound(`User ${id}`);
  return author;
}
