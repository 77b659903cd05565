import { Injectable } from '@nestjs/common';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type {
  VersionEntry,
  VersionReader,
  VersionRecord,
  VersionStatistics,
} from '../core/contracts/versions.js';
import type { DatasetId, FileId, VersionId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import type { Content } from './graph/overlay.js';
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
    return entry ?? null;
  }

  async overlay(
    tx: Reader,
    version: VersionId,
    page: { after?: string | null; limit: number },
  ): Promise<{ path: string; entry: VersionEntry | null }[]> {
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

  /** Each content has one type, so what the types have of different contents adds up. */
  async #countTypes(
    tx: Reader,
    version: VersionId,
  ): Promise<{ type: string; files: string; contents: string }[]> {
    const parameters = new Parameters();
    const sources = sourcesOf(await readPosition(tx, version));
    const whole = wholeStatement(sources, parameters, false);
    return tx.query(
      `SELECT coalesce(f.file_type, 'unknown') AS type, count(*) AS files,
         count(DISTINCT w.file_id) AS contents
       FROM (${whole}) w JOIN files f ON f.id = w.file_id GROUP BY 1 ORDER BY 2 DESC, 1`,
      parameters.values,
    );
  }
}
