import type { Client } from 'pg';
import type { Sha256 } from '../../src/core/ids.js';
import { keyOfContent } from '../../src/storage/backend/local/object-key.js';
import { OVERLAY_MEDIA_TYPE, type OverlayHeader } from '../../src/versioning/graph/document.js';
import type { Segment } from '../../src/versioning/graph/lineage.js';

/** An overlay document that lies in the storage. */
export interface StoredDocument {
  readonly digest: Sha256;
  readonly sizeBytes: number;
}

/** A version as its row says. */
export interface VersionRow {
  readonly id: number;
  readonly parent: number | null;
  readonly header: OverlayHeader;
  readonly document: StoredDocument;
  readonly lineage: number;
  readonly depth: number;
  /** How many rows the lineage adds to reading it. */
  readonly rows: number;
}

/** Writes many rows of histories at once, past the server. */
export class FilledRows {
  private constructor(private readonly database: Client) {}

  /** @param database a superuser's connection: foreign keys that hold by themselves are not checked */
  static async over(database: Client): Promise<FilledRows> {
    await database.query('SET session_replication_role = replica');
    return new FilledRows(database);
  }

  async versionIds(count: number): Promise<number[]> {
    const { rows } = await this.database.query<{ id: number }>(
      `SELECT nextval('dataset_versions_id_seq')::integer AS id FROM generate_series(1, $1)`,
      [count],
    );
    return rows.map(({ id }) => id);
  }

  async insertLineage(
    dataset: number,
    origin: number | null,
    ancestors: readonly Segment[],
    baseRows: number,
  ): Promise<number> {
    const { rows } = await this.database.query<{ id: number }>(
      `INSERT INTO dataset_lineages (dataset_id, origin_version_id, ancestor_lineages,
         ancestor_depths, ancestor_rows, base_rows) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
      [
        dataset,
        origin,
        ancestors.map(({ lineageId }) => lineageId),
        ancestors.map(({ depth }) => depth),
        ancestors.map((segment) => segment.rows),
        baseRows,
      ],
    );
    return rows[0]?.id ?? 0;
  }

  /** Stores versions with the rows of their documents. */
  async insertVersions(versions: readonly VersionRow[]): Promise<void> {
    await this.database.query(
      `WITH wanted AS (
         SELECT * FROM unnest($1::integer[], $2::integer[], $3::integer[], $4::integer[],
           $5::text[], $6::integer[], $7::timestamptz[], $8::text[], $9::text[], $10::bigint[],
           $11::bigint[], $12::bigint[], $13::integer[], $14::integer[], $15::bigint[])
         AS v (id, dataset_id, version_number, parent_id, message, author, at, digest, file_path,
           document_size, file_count, total_size, lineage_id, depth, lineage_rows)
       ), documents AS (
         INSERT INTO files (storage_type, file_type, mime_type, file_path, file_size, content_hash,
           reference_count, unreferenced_since)
         SELECT 'local', 'json', $16, file_path, document_size, digest, 1, NULL FROM wanted
         RETURNING id, content_hash
       )
       INSERT INTO dataset_versions (id, dataset_id, version_number, status, parent_version_id,
         message, created_by, created_at, committed_at, overlay_file_id, digest, file_count,
         total_size, lineage_id, lineage_depth, lineage_rows)
       SELECT w.id, w.dataset_id, w.version_number, 'committed', w.parent_id, w.message, w.author,
         w.at, w.at, d.id, w.digest, w.file_count, w.total_size, w.lineage_id, w.depth, w.lineage_rows
       FROM wanted w JOIN documents d ON d.content_hash = w.digest`,
      [
        versions.map(({ id }) => id),
        versions.map(({ header }) => header.dataset.id),
        versions.map(({ header }) => header.number),
        versions.map(({ parent }) => parent),
        versions.map(({ header }) => header.message),
        versions.map(({ header }) => header.author.id),
        versions.map(({ header }) => header.time),
        versions.map(({ document }) => document.digest),
        versions.map(({ document }) => keyOfContent(document.digest)),
        versions.map(({ document }) => document.sizeBytes),
        versions.map(({ header }) => header.fileCount),
        versions.map(({ header }) => header.totalSizeBytes),
        versions.map(({ lineage }) => lineage),
        versions.map(({ depth }) => depth),
        versions.map(({ rows }) => rows),
        OVERLAY_MEDIA_TYPE,
      ],
    );
  }

  /** The entries of a first version: `pathOf(0)` and on, which have the contents in turn. */
  async insertFirstEntries(
    version: number,
    lineage: number,
    files: number,
    contents: readonly number[],
  ): Promise<void> {
    await this.database.query(
      `INSERT INTO dataset_version_files
         (version_id, component_name, file_id, lineage_id, lineage_depth)
       SELECT $1, format('data/%s/%s.bin', lpad((i / 1000)::text, 4, '0'), lpad(i::text, 7, '0')),
         ($2::integer[])[1 + i % $3], $4, 1 FROM generate_series(0, $5 - 1) i`,
      [version, contents, contents.length, lineage, files],
    );
  }

  /** One entry for each of the versions. */
  async insertEntries(
    versions: readonly VersionRow[],
    entries: readonly { readonly path: string; readonly fileId: number }[],
  ): Promise<void> {
    await this.database.query(
      `INSERT INTO dataset_version_files
         (version_id, component_name, file_id, lineage_id, lineage_depth)
       SELECT * FROM unnest($1::integer[], $2::text[], $3::integer[], $4::integer[], $5::integer[])`,
      [
        versions.map(({ id }) => id),
        entries.map(({ path }) => path),
        entries.map(({ fileId }) => fileId),
        versions.map(({ lineage }) => lineage),
        versions.map(({ depth }) => depth),
      ],
    );
  }

  /** Removes a first version's paths below one, and copies the others into the base that is read. */
  async insertRemoval(
    version: { id: number; lineage: number; depth: number; base: number },
    first: number,
    below: string,
  ): Promise<void> {
    await this.database.query(
      `INSERT INTO dataset_version_files (version_id, component_name, lineage_id, lineage_depth)
       SELECT $1, component_name, $2, $3 FROM dataset_version_files
       WHERE version_id = $4 AND component_name < $5`,
      [version.id, version.lineage, version.depth, first, below],
    );
    await this.database.query(
      `INSERT INTO dataset_lineage_files (lineage_id, component_name, file_id)
       SELECT $1, component_name, file_id FROM dataset_version_files
       WHERE version_id = $2 AND component_name >= $3`,
      [version.base, first, below],
    );
    await this.database.query(
      'UPDATE dataset_versions SET snapshot_lineage_id = $2 WHERE id = $1',
      [version.id, version.base],
    );
  }

  async pointTo(dataset: number, branch: string, version: number, number: number): Promise<void> {
    await this.database.query(
      `UPDATE dataset_pointers SET dataset_version_id = $3
       WHERE dataset_id = $1 AND pointer_name = $2`,
      [dataset, branch, version],
    );
    await this.database.query('UPDATE datasets SET last_version_number = $2 WHERE id = $1', [
      dataset,
      number,
    ]);
  }

  /** Counts the references to contents, and lets the planner know of all the rows. */
  async settle(contents: readonly number[]): Promise<void> {
    await this.database.query(
      `UPDATE files SET reference_count = reference_count + n.count, unreferenced_since = NULL
       FROM (SELECT file_id, count(*) FROM dataset_version_files
         WHERE file_id = ANY ($1::integer[]) GROUP BY 1) n WHERE files.id = n.file_id`,
      [contents],
    );
    await this.database.query('VACUUM ANALYZE');
    await this.database.query('CHECKPOINT');
  }
}
