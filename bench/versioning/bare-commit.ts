import { randomBytes, randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { OVERLAY_MEDIA_TYPE } from '../../src/versioning/graph/document.js';
import type { FilledDataset } from './filler.js';

interface Put {
  readonly path: string;
  readonly fileId: number;
}

/**
 * The SQL that a commit of one path cannot do without, one statement after the other over one
 * connection, durable at its end: no server, no document, and its checks of what others did left out.
 */
export class BareCommit {
  constructor(
    private readonly database: Client,
    private readonly dataset: FilledDataset,
  ) {}

  /** @returns the seconds that it took */
  async run({ path, fileId }: Put): Promise<number> {
    const { database, dataset } = this;
    const digest = randomBytes(32).toString('hex');
    const started = performance.now();
    await database.query('BEGIN');
    const number = await this.one<number>(
      `UPDATE datasets SET last_version_number = last_version_number + 1, updated_at = now()
       WHERE id = $1 RETURNING last_version_number`,
      [dataset.id],
    );
    const head = await this.row<{
      pointer: number;
      id: number;
      files: string;
      size: string;
      lineage: number;
      depth: number;
      rows: string;
      ancestors: number[];
    }>(
      `SELECT p.id AS pointer, v.id, v.file_count AS files, v.total_size AS size,
         v.lineage_id AS lineage, v.lineage_depth AS depth, v.lineage_rows AS rows,
         l.ancestor_lineages AS ancestors
       FROM dataset_pointers p JOIN dataset_versions v ON v.id = p.dataset_version_id
       JOIN dataset_lineages l ON l.id = v.lineage_id
       WHERE p.dataset_id = $1 AND p.pointer_name = 'main' FOR UPDATE OF p`,
      [dataset.id],
    );
    await database.query(
      `SELECT e.file_id, f.file_size FROM dataset_version_files e JOIN files f ON f.id = e.file_id
       WHERE e.lineage_id = $1 AND e.component_name = $2 AND e.lineage_depth <= $3
       ORDER BY e.lineage_depth DESC LIMIT 1`,
      [head.lineage, path, head.depth],
    );
    const document = await this.one<number>(
      `INSERT INTO files (storage_type, file_type, mime_type, file_path, file_size, content_hash,
         reference_count, unreferenced_since)
       VALUES ('local', 'json', $1, $2, 700, $3, 1, NULL) RETURNING id`,
      [
        OVERLAY_MEDIA_TYPE,
        `artifacts/${digest.slice(0, 2)}/${digest.slice(2, 4)}/${digest}`,
        digest,
      ],
    );
    const version = await this.one<number>(
      `INSERT INTO dataset_versions (dataset_id, version_number, status, parent_version_id, message,
         created_by, committed_at, overlay_file_id, digest, file_count, total_size, lineage_id,
         lineage_depth, lineage_rows)
       SELECT $1, $2, 'committed', $3, 'm', created_by, now(), $4, $5, $6, $7, $8, $9, $10
       FROM dataset_versions WHERE id = $3 RETURNING id`,
      [
        dataset.id,
        number,
        head.id,
        document,
        digest,
        head.files,
        head.size,
        head.lineage,
        head.depth + 1,
        Number(head.rows) + 1,
      ],
    );
    await database.query(
      `INSERT INTO dataset_version_files
         (version_id, component_name, file_id, lineage_id, lineage_depth)
       VALUES ($1, $2, $3, $4, $5)`,
      [version, path, fileId, head.lineage, head.depth + 1],
    );
    await database.query('UPDATE files SET reference_count = reference_count + 1 WHERE id = $1', [
      fileId,
    ]);
    await database.query(
      'UPDATE dataset_pointers SET dataset_version_id = $2, updated_at = now() WHERE id = $1',
      [head.pointer, version],
    );
    await database.query(
      `INSERT INTO events (id, type, source, subject, data)
       VALUES ($1, 'dataset.version.created', '/varve', $2, $3)`,
      [
        randomUUID(),
        `dataset/${dataset.id}`,
        {
          branch: 'main',
          digest,
          datasetId: dataset.id,
          versionId: version,
          versionNumber: number,
        },
      ],
    );
    await database.query('COMMIT');
    return (performance.now() - started) / 1000;
  }

  private async one<T>(sql: string, values: readonly unknown[]): Promise<T> {
    return Object.values(await this.row<Record<string, T>>(sql, values))[0] as T;
  }

  private async row<Row>(sql: string, values: readonly unknown[]): Promise<Row> {
    const { rows } = await this.database.query(sql, [...values]);
    return rows[0] as Row;
  }
}
