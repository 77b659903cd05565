import { Injectable } from '@nestjs/common';
import type { Reader } from '../core/contracts/unit-of-work.js';
import {
  ContentPurged,
  type VersionEntry,
  type VersionReader,
  type VersionRecord,
  type VersionStatistics,
} from '../core/contracts/versions.js';
import type { DatasetId, FileId, VersionId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import type { ChangedEntry } from './version-insert.js';
import { sameContent, type Content } from './graph/overlay.js';
import { readPosition } from './position.js';
import { Refs } from './refs.js';
import { Parameters, sourcesOf, wholeStatement } from './tree-sql.js';
import { selectVersions, versionAtPointer } from './version-rows.js';
import { VersionTree } from './version-tree.js';

/** Reads versions for other slices. */
@Injectable()
export class SqlVersionReader implements VersionReader {
  constructor(
    private readonly refs: Refs,
    private readonly tree: VersionTree,
  ) {}

  resolve(tx: Reader, dataset: DatasetId, ref: string): Promise<VersionRecord> {
    return this.refs.resolve(tx, dataset, ref);
  }

  head(tx: Reader, dataset: DatasetId, branch: string): Promise<VersionRecord | null> {
    return versionAtPointer(tx, dataset, branch);
  }

  async entries(
    tx: Reader,
    version: VersionId,
    page: { prefix?: string; after?: string | null; limit: number },
  ): Promise<VersionEntry[]> {
    return this.tree.entries(tx, await readPosition(tx, version), page);
  }

  async entry(tx: Reader, version: VersionId, path: string): Promise<VersionEntry | null> {
    const position = await readPosition(tx, version);
    const content = (await this.tree.lookup(tx, position, [path])).get(path);
    if (!content) return null;
    const [entry] = await this.tree.describe(tx, [{ path, content }]);
    if (entry?.purged) throw new ContentPurged(entry);
    return entry ?? null;
  }

  async overlay(
    tx: Reader,
    version: VersionId,
    page: { after?: string | null; limit: number },
  ): Promise<ChangedEntry[]> {
    if ((await this.#removedParents(tx, version)).length === 0) {
      return this.written(tx, version, page);
    }
    const base = await this.builtOn(tx, version);
    return base
      ? this.#changedSince(tx, version, base.id, page)
      : this.entries(tx, version, page).then((entries) =>
          entries.map((entry) => ({ path: entry.path, entry })),
        );
  }

  async builtOn(tx: Reader, version: VersionId): Promise<VersionRecord | null> {
    const oldest = (await this.#removedParents(tx, version)).at(-1) ?? version;
    const [base] = await selectVersions(
      tx,
      'WHERE v.id = (SELECT parent_version_id FROM dataset_versions WHERE id = $1)',
      [oldest],
    );
    return base ?? null;
  }

  /** The rows that a version or a draft has of its own, as its overlay document has them. */
  async written(
    tx: Reader,
    version: VersionId,
    page: { after?: string | null; limit: number },
  ): Promise<ChangedEntry[]> {
    const rows = await tx.query<{
      path: string;
      fileId: FileId | null;
      metadata: JsonObject | null;
    }>(
      `SELECT component_name AS path, file_id AS "fileId", metadata FROM dataset_version_files
       WHERE version_id = $1 AND component_name > $2 ORDER BY component_name LIMIT $3`,
      [version, page.after ?? '', page.limit],
    );
    const put = rows.flatMap(({ path, fileId, metadata }) => {
      if (fileId === null) return [];
      const content: Content = { fileId, metadata };
      return [{ path, content }];
    });
    const described = await this.tree.describe(tx, put);
    const entries = new Map(described.map((entry) => [entry.path, entry]));
    return rows.map(({ path }) => ({ path, entry: entries.get(path) ?? null }));
  }

  /** What differs where versions between the two may have been removed. */
  async #changedSince(
    tx: Reader,
    version: VersionId,
    base: VersionId,
    { after, limit }: { after?: string | null; limit: number },
  ): Promise<ChangedEntry[]> {
    const line = [version, ...(await this.#removedParents(tx, version))];
    const [ours, theirs] = [await readPosition(tx, base), await readPosition(tx, version)];
    const changed: ChangedEntry[] = [];
    for (let last = after ?? ''; changed.length < limit;) {
      const rows = await tx.query<{ path: string }>(
        `SELECT DISTINCT component_name AS path FROM dataset_version_files
         WHERE version_id = ANY($1::integer[]) AND component_name > $2 ORDER BY 1 LIMIT $3`,
        [line, last, limit],
      );
      const paths = rows.map(({ path }) => path);
      const before = await this.tree.lookup(tx, ours, paths);
      const now = await this.tree.lookup(tx, theirs, paths);
      const described = await this.tree.describe(
        tx,
        [...now].map(([path, content]) => ({ path, content })),
      );
      const entries = new Map(described.map((entry) => [entry.path, entry]));
      changed.push(
        ...paths
          .filter((path) => !sameContent(before.get(path) ?? null, now.get(path) ?? null))
          .map((path) => ({ path, entry: entries.get(path) ?? null })),
      );
      if (paths.length < limit) break;
      last = paths.at(-1) ?? last;
    }
    return changed.slice(0, limit);
  }

  /** A version's first parents as far as they are removed, the nearest first. */
  async #removedParents(tx: Reader, version: VersionId): Promise<VersionId[]> {
    const rows = await tx.query<{ id: VersionId }>(
      `WITH RECURSIVE line AS (
         SELECT p.id, p.parent_version_id, 1 AS n FROM dataset_versions v
         JOIN dataset_versions p ON p.id = v.parent_version_id
         WHERE v.id = $1 AND p.status = 'removed'
         UNION ALL
         SELECT p.id, p.parent_version_id, n + 1 FROM line
         JOIN dataset_versions p ON p.id = line.parent_version_id WHERE p.status = 'removed'
       ) SELECT id FROM line ORDER BY n`,
      [version],
    );
    return rows.map(({ id }) => id);
  }

  list(
    tx: Reader,
    dataset: DatasetId,
    page: { after?: number; limit: number },
  ): Promise<VersionRecord[]> {
    return selectVersions(
      tx,
      `WHERE v.dataset_id = $1 AND v.status = 'committed' AND v.version_number > $2
       ORDER BY v.version_number LIMIT $3`,
      [dataset, page.after ?? 0, page.limit],
    );
  }

  /** Of the version that the ref names; without one, of the default branch's head. */
  async statistics(tx: Reader, dataset: DatasetId, ref: string | null): Promise<VersionStatistics> {
    const [counted] = await tx.query<{ count: number; newest: Date | null }>(
      `SELECT count(*)::integer AS count, max(committed_at) AS newest FROM dataset_versions
       WHERE dataset_id = $1 AND status = 'committed'`,
      [dataset],
    );
    const version = await this.refs.resolveOrDefault(tx, dataset, ref);
    const types = version ? await this.#countTypes(tx, version.id) : [];
    return {
      totalFiles: version?.fileCount ?? 0,
      totalSizeBytes: version?.totalSizeBytes ?? 0,
      fileTypes: Object.fromEntries(types.map(({ type, files }) => [type, Number(files)])),
      versionCount: counted?.count ?? 0,
      lastModified: (ref === null ? counted?.newest : version?.committedAt) ?? null,
      uniqueContentHashes: types.reduce((sum, { contents }) => sum + Number(contents), 0),
    };
  }

  /** Counts what a version holds, whatever its row says. */
  async totals(tx: Reader, version: VersionId): Promise<{ files: number; sizeBytes: number }> {
    const parameters = new Parameters();
    const sources = sourcesOf(await readPosition(tx, version));
    const whole = wholeStatement(sources, parameters, false);
    const [row] = await tx.query<{ files: number; sizeBytes: number }>(
      `SELECT count(*)::float8 AS files, coalesce(sum(coalesce(p.file_size, f.file_size)), 0)::float8
         AS "sizeBytes"
       FROM (${whole}) w JOIN files f ON f.id = w.file_id
       LEFT JOIN dataset_purges p ON p.notice_file_id = f.id`,
      parameters.values,
    );
    return row ?? { files: 0, sizeBytes: 0 };
  }

  /** Each content has one type, so what the types have of different contents adds up. */
  async #countTypes(
    tx: Reader,
    version: VersionId,
  ): Promise<{ type: string; files: string; contents: string }[]> {
    const parameters = new Parameters();
    const sources = sourcesOf(await readPosition(tx, version));
    const whole = wholeStatement(sources, parameters, false);
    return tx.query(
      `SELECT CASE WHEN p.id IS NULL THEN coalesce(f.file_type, 'unknown')
           ELSE coalesce(p.file_type, 'unknown') END AS type, count(*) AS files,
         count(DISTINCT w.file_id) AS contents
       FROM (${whole}) w JOIN files f ON f.id = w.file_id
       LEFT JOIN dataset_purges p ON p.notice_file_id = f.id GROUP BY 1 ORDER BY 2 DESC, 1`,
      parameters.values,
    );
  }
}
