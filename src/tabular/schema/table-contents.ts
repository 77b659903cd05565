import { Injectable } from '@nestjs/common';
import type { PreparedSql, Reader, Tx } from '../../core/contracts/unit-of-work.js';
import type { VersionEntry } from '../../core/contracts/versions.js';
import type { FileId } from '../../core/ids.js';
import type { TableDescription } from '../engine/describe.js';
import type { ReaderOptions } from '../engine/source.js';
import { TABLE_PROBLEMS, type TableProblemCode } from '../engine/table-problem.js';

/** What reading all of a file has shown. Without a description and a problem it is no table. */
export interface KnownContent {
  readonly description: TableDescription | null;
  readonly problem: { readonly code: TableProblemCode; readonly detail: string } | null;
}

/** A content, and the way in which it is read. */
export interface Reading {
  readonly fileId: FileId;
  readonly key: string;
}

interface Row {
  readonly file_id: FileId;
  readonly reading: string;
  readonly description: TableDescription | null;
  readonly problem_code: string | null;
  readonly problem_detail: string | null;
}

const FIND: PreparedSql = {
  name: 'find-table-contents',
  text: `SELECT c.file_id, c.reading, c.description, c.problem_code, c.problem_detail
    FROM unnest($1::integer[], $2::text[]) AS wanted (file_id, reading)
    JOIN table_contents c ON c.file_id = wanted.file_id AND c.reading = wanted.reading`,
};

/** The way in which an entry's file is read: what is known of it holds for that way alone. */
export function readingOf(
  { fileId, path, mimeType }: Pick<VersionEntry, 'fileId' | 'path' | 'mimeType'>,
  options: ReaderOptions,
): Reading {
  const extension = /\.[A-Za-z0-9.]{1,20}$/.exec(path.slice(path.lastIndexOf('/') + 1))?.[0] ?? '';
  const sorted = Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { fileId, key: JSON.stringify([extension.toLowerCase(), mimeType, sorted]) };
}

/** What has been found out about contents as tables; kept, since a content never changes. */
@Injectable()
export class TableContents {
  async find(tx: Reader, reading: Reading): Promise<KnownContent | null> {
    const [known = null] = await this.findAll(tx, [reading]);
    return known;
  }

  /** What is known of each; null where nothing is. */
  async findAll(tx: Reader, readings: readonly Reading[]): Promise<(KnownContent | null)[]> {
    if (readings.length === 0) return [];
    const rows = await tx.query<Row>(FIND, [
      readings.map(({ fileId }) => fileId),
      readings.map(({ key }) => key),
    ]);
    const found = new Map(rows.map((row) => [`${row.file_id} ${row.reading}`, knownOf(row)]));
    return readings.map(({ fileId, key }) => found.get(`${fileId} ${key}`) ?? null);
  }

  /** Keeps what was found out; what somebody else has found out already stays. */
  async keepAll(
    tx: Tx,
    found: readonly { readonly reading: Reading; readonly known: KnownContent }[],
  ): Promise<void> {
    if (found.length === 0) return;
    // In one order, whoever keeps: two who keep the same contents wait for each other at most once.
    await tx.query(
      `INSERT INTO table_contents (file_id, reading, description, problem_code, problem_detail)
       SELECT f.id, new.reading, new.description, new.problem_code, new.problem_detail
       FROM unnest($1::integer[], $2::text[], $3::json[], $4::text[], $5::text[])
         AS new (file_id, reading, description, problem_code, problem_detail)
       JOIN files f ON f.id = new.file_id
       ORDER BY f.id, new.reading
       ON CONFLICT (file_id, reading) DO NOTHING`,
      [
        found.map(({ reading }) => reading.fileId),
        found.map(({ reading }) => reading.key),
        found.map(({ known }) => known.description && JSON.stringify(known.description)),
        found.map(({ known }) => known.problem?.code ?? null),
        found.map(({ known }) => known.problem?.detail.replaceAll('\0', '').toWellFormed() ?? null),
      ],
    );
  }
}

function knownOf({ description, problem_code, problem_detail }: Row): KnownContent {
  const code = TABLE_PROBLEMS.find((each) => each === problem_code);
  return { description, problem: code ? { code, detail: problem_detail ?? '' } : null };
}
