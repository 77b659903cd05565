import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { Tx } from '../core/contracts/unit-of-work.js';
import { NothingChanged, RefMoved, type VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, FileId, UserId, VersionId } from '../core/ids.js';
import { Commits } from './commits.js';
import { Drafts, type Draft } from './drafts.js';
import { mergeContents, type Conflict } from './graph/merge.js';
import type { Content } from './graph/overlay.js';
import { lockBranch } from './locked-branch.js';
import { EMPTY_POSITION, readPosition } from './position.js';
import type { ChangedEntry, VersionRow } from './version-insert.js';
import { SqlVersionReader } from './version-reader.js';
import { versionById } from './version-rows.js';
import { VersionTree } from './version-tree.js';
import { MergeConflicts } from './versioning.problems.js';

/** How many of a draft's rows are worked on at once. */
const CHUNK = 5000;

/** Conflicts beyond these are counted by nobody: whoever has that many merges branches instead. */
const MAX_CONFLICTS = 1000;

/** Turns drafts into versions. */
@Injectable()
export class DraftCommits {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    private readonly commits: Commits,
    private readonly drafts: Drafts,
    private readonly reader: SqlVersionReader,
    private readonly tree: VersionTree,
  ) {}

  /**
   * Makes the draft its branch's next version. The draft becomes that version; its id stays.
   * @param rebase carry it over to a head that has moved on, where nothing conflicts
   * @throws RefMoved, MergeConflicts, NothingChanged, BranchProtected, NotFound
   */
  async commit(
    tx: Tx,
    dataset: DatasetId,
    id: number,
    request: { author: UserId; message: string; rebase: boolean },
  ): Promise<VersionRecord> {
    const { branch: name } = await this.drafts.get(tx, dataset, id);
    // The dataset before the draft: what locks both does so in this order.
    const branch = await lockBranch(tx, dataset, name);
    let draft = await this.drafts.lock(tx, dataset, id);
    if ((branch.head?.id ?? null) !== draft.parentId) {
      if (!request.rebase) {
        const parent = draft.parentId && (await versionById(tx, draft.parentId));
        throw new RefMoved({
          ref: name,
          expected: parent ? parent.digest : null,
          actual: branch.head?.digest ?? null,
        });
      }
      draft = await this.#rebase(tx, draft, branch.head);
    }
    const changes = await this.#countRows(tx, draft.id);
    if (changes === 0) throw new NothingChanged();
    const { author, message } = request;
    return this.commits.record(
      tx,
      branch,
      { author, message, mergeParent: null, position: await this.commits.positionOf(tx, branch) },
      {
        changes,
        totals: { files: draft.fileCount, sizeBytes: draft.totalSizeBytes },
        entries: () => this.#entries(tx, draft.id),
        store: (inTx, row) => becomeVersion(inTx, draft.id, row),
      },
    );
  }

  /** Puts a draft on another parent; its rows stay what they say, less what is there already. */
  async #rebase(tx: Tx, draft: Draft, head: VersionRecord | null): Promise<Draft> {
    const base = await this.drafts.parentPosition(tx, draft);
    const ours = head ? await readPosition(tx, head.id) : EMPTY_POSITION;
    let files = head?.fileCount ?? 0;
    let sizeBytes = head?.totalSizeBytes ?? 0;
    const conflicts: Conflict[] = [];
    let after: string | null = null;
    for (;;) {
      const rows = await this.#rows(tx, draft.id, after);
      const paths = rows.map(({ path }) => path);
      if (paths.length === 0) break;
      after = paths.at(-1) ?? null;
      const before = await this.tree.lookup(tx, ours, paths);
      const theirs = new Map(
        rows.flatMap(({ path, content }) => (content ? [[path, content] as const] : [])),
      );
      const merged = mergeContents(paths, await this.tree.lookup(tx, base, paths), before, theirs);
      conflicts.push(...merged.conflicts);
      if (conflicts.length > MAX_CONFLICTS) break;
      const kept = new Set(merged.changes.map(([path]) => path));
      const dropped = await tx.query<{ fileId: FileId | null }>(
        `DELETE FROM dataset_version_files WHERE version_id = $1
           AND component_name = ANY($2::text[]) RETURNING file_id AS "fileId"`,
        [draft.id, paths.filter((path) => !kept.has(path))],
      );
      await this.files.releaseReferences(
        tx,
        dropped.flatMap(({ fileId }) => fileId ?? []),
      );
      const delta = await this.drafts.weigh(tx, before, merged.changes);
      files += delta.files;
      sizeBytes += delta.sizeBytes;
    }
    if (conflicts.length > 0) throw new MergeConflicts(conflicts.slice(0, MAX_CONFLICTS));
    await tx.query(
      `UPDATE dataset_versions SET parent_version_id = $2, file_count = $3, total_size = $4
       WHERE id = $1`,
      [draft.id, head?.id ?? null, files, sizeBytes],
    );
    return this.drafts.get(tx, draft.datasetId, draft.id);
  }

  async #rows(
    tx: Tx,
    draft: VersionId,
    after: string | null,
  ): Promise<{ path: string; content: Content | null }[]> {
    const rows = await tx.query<{ path: string; fileId: FileId | null; metadata: never }>(
      `SELECT component_name AS path, file_id AS "fileId", metadata FROM dataset_version_files
       WHERE version_id = $1 AND component_name > $2 ORDER BY component_name LIMIT $3`,
      [draft, after ?? '', CHUNK],
    );
    return rows.map(({ path, fileId, metadata }) => ({
      path,
      content: fileId === null ? null : { fileId, metadata },
    }));
  }

  async *#entries(tx: Tx, draft: VersionId): AsyncGenerator<ChangedEntry> {
    let after: string | null = null;
    for (;;) {
      const page = await this.reader.written(tx, draft, { after, limit: CHUNK });
      yield* page;
      after = page.at(-1)?.path ?? null;
      if (page.length < CHUNK) return;
    }
  }

  async #countRows(tx: Tx, draft: VersionId): Promise<number> {
    const [row] = await tx.query<{ count: number }>(
      'SELECT count(*)::integer AS count FROM dataset_version_files WHERE version_id = $1',
      [draft],
    );
    return row?.count ?? 0;
  }
}

/** Turns a draft's row into that of a committed version; its rows keep their references. */
async function becomeVersion(
  tx: Tx,
  draft: VersionId,
  { branch, version, committedAt, document, place }: VersionRow,
): Promise<VersionId> {
  await tx.query(
    `UPDATE dataset_versions SET status = 'committed', version_number = $2, message = $3,
       created_by = $4, committed_at = $5, overlay_file_id = $6, digest = $7, lineage_id = $8,
       lineage_depth = $9, lineage_rows = $10, draft_branch = NULL, draft_touched_at = NULL
     WHERE id = $1`,
    [
      draft,
      branch.versionNumber,
      version.message,
      version.author,
      committedAt,
      document.fileId,
      document.digest,
      place.lineageId,
      place.depth,
      place.rows,
    ],
  );
  await tx.query(
    'UPDATE dataset_version_files SET lineage_id = $2, lineage_depth = $3 WHERE version_id = $1',
    [draft, place.lineageId, place.depth],
  );
  return draft;
}
