import { Inject, Injectable } from '@nestjs/common';
import { FileDamaged } from '../../core/contracts/file-catalog.js';
import {
  UNIT_OF_WORK,
  type PreparedSql,
  type UnitOfWork,
} from '../../core/contracts/unit-of-work.js';
import type { FileId, Sha256, UserId } from '../../core/ids.js';
import { NotFound } from '../../core/problems.js';
import { GroupCommit } from '../../platform/database/group-commit.js';

/** What of a row of `files` a download needs. */
export interface Content {
  readonly id: FileId;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  readonly mimeType: string;
  readonly fileType: string | null;
  /** What its uploader, if that is who asks, has called it. */
  readonly name: string | null;
  readonly path: string;
  /** Another one once the row has changed. */
  readonly rowVersion: string;
}

interface Wanted {
  readonly file: FileId;
  readonly reader: UserId | null;
}

interface Row {
  readonly id: FileId;
  readonly content_hash: Sha256;
  readonly file_size: string;
  readonly file_path: string;
  readonly mime_type: string;
  readonly file_type: string | null;
  readonly name: string | null;
  readonly damaged_at: Date | null;
  readonly row_version: string;
}

// Whoever holds an upload is told what it said of the content, not what an earlier one said.
const FIND: PreparedSql = {
  name: 'content-lookup',
  text: `
  SELECT f.id, f.content_hash, f.file_size, f.file_path, f.damaged_at, f.xmin::text AS row_version,
         CASE WHEN h.file_id IS NULL THEN f.mime_type ELSE h.mime_type END AS mime_type,
         CASE WHEN h.file_id IS NULL THEN f.file_type ELSE h.file_type END AS file_type,
         h.metadata ->> 'name' AS name
  FROM unnest($1::integer[], $2::integer[]) WITH ORDINALITY AS wanted (file_id, user_id, position)
  LEFT JOIN files f ON f.id = wanted.file_id
  LEFT JOIN upload_holds h ON h.file_id = f.id AND h.user_id = wanted.user_id
  ORDER BY wanted.position`,
};

/** Looks up what is to be downloaded: once for all who ask at the same moment. */
@Injectable()
export class ContentLookup {
  private readonly groups = new GroupCommit<Wanted, Row | null>((group) => this.read(group), {
    items: 256,
    // Of two at a time each would have half the company and cost as much.
    groups: 1,
  });

  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /** @throws NotFound, FileDamaged */
  async find(file: FileId, reader: UserId | null): Promise<Content> {
    const row = await this.groups.submit({ file, reader });
    if (row === null) throw new NotFound(`File ${file}`);
    if (row.damaged_at !== null) throw new FileDamaged(file);
    return {
      id: file,
      sha256: row.content_hash,
      sizeBytes: Number(row.file_size),
      mimeType: row.mime_type,
      fileType: row.file_type,
      name: row.name,
      path: row.file_path,
      rowVersion: row.row_version,
    };
  }

  private async read(group: readonly Wanted[]): Promise<PromiseSettledResult<Row | null>[]> {
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<Row | { id: null }>(FIND, [
        group.map(({ file }) => file),
        group.map(({ reader }) => reader),
      ]),
    );
    return rows.map((row) => ({ status: 'fulfilled', value: row.id === null ? null : row }));
  }
}
