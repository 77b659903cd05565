import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { STORAGE_QUOTAS, type StorageQuotas } from '../core/contracts/storage-quotas.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import type { VersionOperation } from '../core/contracts/versions.js';
import type { DatasetId, FileId, UserId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import { Branches } from './branches.js';
import { HAS_QUOTA } from './dataset-limits.js';
import {
  applyOperations,
  sameContent,
  totalsDelta,
  touchedPaths,
  type Change,
  type Content,
  type TotalsDelta,
} from './graph/overlay.js';
import { parseRef } from './graph/ref.js';
import { EMPTY_POSITION, readPosition, type ReadPosition } from './position.js';
import { Refs } from './refs.js';
import { refusePurged, withPurges } from './purged-files.js';
import { insertEntries } from './version-insert.js';
import { versionById } from './version-rows.js';
import { VersionTree } from './version-tree.js';

/** A version that is not committed yet. */
export interface Draft {
  readonly id: VersionId;
  readonly datasetId: DatasetId;
  readonly branch: string;
  readonly parentId: VersionId | null;
  readonly createdBy: UserId;
  readonly createdAt: Date;
  readonly touchedAt: Date;
  readonly fileCount: number;
  readonly totalSizeBytes: number;
}

const SELECT = `
  SELECT id, dataset_id AS "datasetId", draft_branch AS branch, parent_version_id AS "parentId",
    created_by AS "createdBy", created_at AS "createdAt", draft_touched_at AS "touchedAt",
    file_count::float8 AS "fileCount", total_size::float8 AS "totalSizeBytes"
  FROM dataset_versions`;

/** How many of a draft's rows are worked on at once. */
const CHUNK = 5000;

/**
 * Drafts: the only versions that change. A draft's rows are an overlay over its parent, as a
 * committed version's are; each change is one transaction under the draft's row lock, so that any
 * number of clients may work on it at once.
 */
@Injectable()
export class Drafts {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    private readonly branches: Branches,
    private readonly refs: Refs,
    private readonly tree: VersionTree,
    @Inject(STORAGE_QUOTAS) private readonly quotas: StorageQuotas,
  ) {}

  /**
   * Opens a draft on what a ref names; without one, on the default branch's head.
   * @param branch where it is to be committed; the ref, where that is a branch, unless told
   * @throws NotFound, NotABranch, InvalidInput
   */
  async open(
    tx: Tx,
    dataset: DatasetId,
    author: UserId,
    { from, branch }: { from: string | null; branch: string | null },
  ): Promise<Draft> {
    // What removes versions waits for this, or this for that: the parent is there when both are done.
    await shareDataset(tx, dataset);
    const target = await this.branches.requireBranch(
      tx,
      dataset,
      branch ?? (await this.#branchOf(tx, dataset, from)),
    );
    const startsHere = from === null || from === target.name;
    const parent = startsHere
      ? target.versionId && (await versionById(tx, target.versionId))
      : await this.refs.resolve(tx, dataset, from);
    const [row] = await tx.query<{ id: VersionId }>(
      `INSERT INTO dataset_versions (dataset_id, status, parent_version_id, created_by, file_count,
         total_size, draft_branch, draft_touched_at)
       VALUES ($1, 'draft', $2, $3, $4, $5, $6, now()) RETURNING id`,
      [
        dataset,
        parent?.id ?? null,
        author,
        parent?.fileCount ?? 0,
        parent?.totalSizeBytes ?? 0,
        target.name,
      ],
    );
    return this.get(tx, dataset, row?.id as VersionId);
  }

  /** @throws NotFound */
  async get(tx: Reader, dataset: DatasetId, id: number): Promise<Draft> {
    return this.#one(tx, dataset, id, '');
  }

  /** The newest first, before one, at most `limit`. */
  list(
    tx: Reader,
    dataset: DatasetId,
    page: { before: number | null; limit: number },
  ): Promise<Draft[]> {
    return tx.query<Draft>(
      `${SELECT} WHERE dataset_id = $1 AND status = 'draft' AND draft_of IS NULL
         AND ($2::integer IS NULL OR id < $2) ORDER BY id DESC LIMIT $3`,
      [dataset, page.before, page.limit],
    );
  }

  /**
   * Keeps others from changing the draft until the transaction ends, and from purging: whoever does
   * waits and then finds what was put, or was first, and is found. Before any file is locked.
   * @throws NotFound
   */
  async lock(tx: Tx, dataset: DatasetId, id: number): Promise<Draft> {
    await shareDataset(tx, dataset);
    return this.#one(tx, dataset, id, 'FOR UPDATE');
  }

  /**
   * Applies operations to a locked draft.
   * @throws PathMissing, PathExists, FileMissing, PurgedContentRefused, QuotaExceeded, InvalidInput
   */
  async apply(tx: Tx, draft: Draft, operations: readonly VersionOperation[]): Promise<Draft> {
    const [dataset] = await tx.query<{ hasPurges: boolean; hasQuota: boolean }>(
      `SELECT has_purges AS "hasPurges", ${HAS_QUOTA} AS "hasQuota" FROM datasets d WHERE id = $1`,
      [draft.datasetId],
    );
    if (dataset?.hasPurges) {
      const put = operations.flatMap((operation) =>
        operation.op === 'put' ? operation.fileId : [],
      );
      await refusePurged(tx, draft.datasetId, put);
    }
    const position = await readPosition(tx, draft.id);
    const before = await this.tree.lookup(tx, position, touchedPaths(operations));
    const changes = applyOperations(before, operations);
    await this.#write(tx, draft, before, changes, dataset?.hasQuota ?? false);
    return this.get(tx, draft.datasetId, draft.id);
  }

  /** Drops a locked draft, whatever was in it. */
  async discard(tx: Tx, draft: Pick<Draft, 'id'>): Promise<void> {
    await tx.query(
      `SELECT 1 FROM dataset_versions v JOIN datasets d ON d.id = v.dataset_id WHERE v.id = $1
       FOR KEY SHARE OF d`,
      [draft.id],
    );
    const scratches = await tx.query<{ id: VersionId }>(
      'SELECT id FROM dataset_versions WHERE draft_of = $1 FOR UPDATE',
      [draft.id],
    );
    for (const { id } of [...scratches, draft]) {
      const gone = await tx.query<{ fileId: FileId | null }>(
        'DELETE FROM dataset_version_files WHERE version_id = $1 RETURNING file_id AS "fileId"',
        [id],
      );
      await this.files.releaseReferences(
        tx,
        gone.flatMap(({ fileId }) => fileId ?? []),
      );
      await tx.query(`DELETE FROM dataset_versions WHERE id = $1 AND status = 'draft'`, [id]);
    }
  }

  /** A place for rows on their way into a draft; what it refers to is counted as a draft's is. */
  async openScratch(tx: Tx, draft: Draft, author: UserId): Promise<VersionId> {
    const [row] = await tx.query<{ id: VersionId }>(
      `INSERT INTO dataset_versions (dataset_id, status, created_by, draft_branch,
         draft_touched_at, draft_of) VALUES ($1, 'draft', $2, $3, now(), $4) RETURNING id`,
      [draft.datasetId, author, draft.branch, draft.id],
    );
    return row?.id as VersionId;
  }

  /** Puts what is in a scratch into its locked draft, and drops the scratch. */
  async absorb(tx: Tx, draft: Draft, scratch: VersionId): Promise<Draft> {
    const position = await readPosition(tx, draft.id);
    const parent = await this.parentPosition(tx, draft);
    for (;;) {
      const rows = await tx.query<{ path: string; fileId: FileId; metadata: null }>(
        `SELECT component_name AS path, file_id AS "fileId", metadata FROM dataset_version_files
         WHERE version_id = $1 ORDER BY component_name LIMIT $2`,
        [scratch, CHUNK],
      );
      const paths = rows.map(({ path }) => path);
      const last = paths.at(-1);
      if (last === undefined) break;
      const before = await this.tree.lookup(tx, position, paths);
      const inParent = await this.tree.lookup(tx, parent, paths);
      const changes = rows.map(({ path, ...content }) => [path, content] as const);
      const asInParent = changes
        .filter(([path, content]) => sameContent(content, inParent.get(path) ?? null))
        .map(([path]) => path);
      // Rows move with their references: only those that give way, or say nothing, let theirs go.
      const dropped = await tx.query<{ fileId: FileId | null }>(
        `DELETE FROM dataset_version_files
         WHERE (version_id = $1 AND component_name = ANY($3::text[]))
            OR (version_id = $2 AND component_name = ANY($4::text[]))
         RETURNING file_id AS "fileId"`,
        [draft.id, scratch, paths, asInParent],
      );
      await tx.query(
        `UPDATE dataset_version_files SET version_id = $1
         WHERE version_id = $2 AND component_name <= $3`,
        [draft.id, scratch, last],
      );
      await this.files.releaseReferences(
        tx,
        dropped.flatMap(({ fileId }) => fileId ?? []),
      );
      await this.#addToTotals(tx, draft.id, await this.weigh(tx, before, changes));
    }
    await tx.query('DELETE FROM dataset_versions WHERE id = $1', [scratch]);
    return this.get(tx, draft.datasetId, draft.id);
  }

  async #one(tx: Reader, dataset: DatasetId, id: number, locking: string): Promise<Draft> {
    const [draft] = await tx.query<Draft>(
      `${SELECT} WHERE dataset_id = $1 AND id = $2 AND status = 'draft' AND draft_of IS NULL
       ${locking}`,
      [dataset, id],
    );
    if (!draft) throw new NotFound(`Draft ${id} of dataset ${dataset}`);
    return draft;
  }

  async #branchOf(tx: Reader, dataset: DatasetId, from: string | null): Promise<string> {
    if (from !== null) {
      const { base, generations } = parseRef(from, 'from');
      if (base.kind === 'pointer' && generations === 0) {
        const found = await tx.query(
          'SELECT 1 FROM dataset_pointers WHERE dataset_id = $1 AND pointer_name = $2 AND NOT is_tag',
          [dataset, base.name],
        );
        if (found.length > 0) return base.name;
      }
    }
    return this.refs.defaultBranch(tx, dataset);
  }

  /** Writes changes against what the draft held before as rows against its parent. */
  async #write(
    tx: Tx,
    draft: Draft,
    before: ReadonlyMap<string, Content>,
    changes: readonly Change[],
    hasQuota: boolean,
  ): Promise<void> {
    if (changes.length === 0) return;
    const paths = changes.map(([path]) => path);
    const inParent = await this.tree.lookup(tx, await this.parentPosition(tx, draft), paths);
    const rows = changes.filter(
      ([path, content]) => !sameContent(content, inParent.get(path) ?? null),
    );
    const replaced = await tx.query<{ fileId: FileId | null }>(
      `DELETE FROM dataset_version_files WHERE version_id = $1 AND component_name = ANY($2::text[])
       RETURNING file_id AS "fileId"`,
      [draft.id, paths],
    );
    const delta = await this.weigh(tx, before, changes);
    const put = rows.flatMap(([, content]) => content?.fileId ?? []);
    await this.files.addReferences(tx, put);
    await this.files.releaseReferences(
      tx,
      replaced.flatMap(({ fileId }) => fileId ?? []),
    );
    await this.quotas.chargeDataset(tx, { datasetId: draft.datasetId, hasQuota }, put);
    await insertEntries(tx, draft.id, rows, null);
    await this.#addToTotals(tx, draft.id, delta);
  }

  async #addToTotals(tx: Tx, draft: VersionId, { files, sizeBytes }: TotalsDelta): Promise<void> {
    await tx.query(
      `UPDATE dataset_versions SET file_count = file_count + $2, total_size = total_size + $3,
         draft_touched_at = now() WHERE id = $1`,
      [draft, files, sizeBytes],
    );
  }

  /** What changes add to a draft's totals. */
  async weigh(
    tx: Tx,
    before: ReadonlyMap<string, Content>,
    changes: readonly Change[],
  ): Promise<TotalsDelta> {
    const ids = new Set([
      ...changes.flatMap(([, content]) => content?.fileId ?? []),
      ...changes.flatMap(([path]) => before.get(path)?.fileId ?? []),
    ]);
    const files = await withPurges(tx, await this.files.find(tx, [...ids]));
    const sizeOf = (id: FileId): number => files.get(id)?.sizeBytes ?? 0;
    return totalsDelta(
      changes,
      (path) => {
        const content = before.get(path);
        return content ? sizeOf(content.fileId) : null;
      },
      sizeOf,
    );
  }

  /** What the version that a draft starts from is read from. */
  async parentPosition(tx: Tx, { parentId }: Draft): Promise<ReadPosition> {
    return parentId === null ? EMPTY_POSITION : readPosition(tx, parentId);
  }
}

/** Lets nobody remove versions or purge contents until the transaction ends; all else may go on. */
async function shareDataset(tx: Tx, dataset: DatasetId): Promise<void> {
  await tx.query('SELECT 1 FROM datasets WHERE id = $1 FOR KEY SHARE', [dataset]);
}
