import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { MAX_ID } from '../../core/ids.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { OrphanSweep } from './orphan-sweep.js';

/** Why something would be deleted. */
export const REASONS = ['unreferenced', 'hold-expired', 'orphan', 'abandoned-upload'] as const;
export type Reason = (typeof REASONS)[number];

/** Something that a run would delete now: a file with its bytes, or an object that no file names. */
export interface Candidate {
  readonly fileId: number | null;
  readonly sha256: string | null;
  readonly path: string;
  readonly sizeBytes: number;
  readonly reason: Reason;
  /** Since when the reason holds. */
  readonly since: Date;
}

/** What a run would delete now, altogether. */
export interface CandidateTotals {
  readonly files: number;
  readonly objects: number;
  readonly sizeBytes: number;
}

/** The kind of candidate that a page had come to, and the last one's id or path. */
export type PreviewCursor = ['files' | 'holds', number] | ['objects', string];

interface Row {
  readonly file_id: number | null;
  readonly sha256: string | null;
  readonly path: string;
  readonly size_bytes: string;
  readonly since: Date;
}

interface Source {
  readonly kind: PreviewCursor[0];
  /** The candidates after $2; $1 is the grace period. */
  readonly sql: string;
  readonly key: string;
  readonly first: number | string;
}

const SOURCES: readonly Source[] = [
  {
    kind: 'files',
    key: 'file_id',
    first: 0,
    sql: `
      SELECT id AS file_id, content_hash AS sha256, file_path AS path, file_size AS size_bytes,
             unreferenced_since AS since
      FROM files
      WHERE reference_count = 0 AND unreferenced_since <= now() - $1 * interval '1 millisecond'
        AND id > $2`,
  },
  {
    // What a run releases is unreferenced from then on, so that it goes at once only without grace.
    kind: 'holds',
    key: 'file_id',
    first: 0,
    sql: `
      SELECT f.id AS file_id, f.content_hash AS sha256, f.file_path AS path,
             f.file_size AS size_bytes, max(h.expires_at) AS since
      FROM files f JOIN upload_holds h ON h.file_id = f.id
      WHERE h.expires_at <= now() AND $1 = 0 AND f.id > $2
      GROUP BY f.id HAVING count(*) = f.reference_count`,
  },
  {
    kind: 'objects',
    key: 'path',
    first: '',
    sql: `
      SELECT NULL::integer AS file_id, content_hash AS sha256, object_key AS path, size_bytes,
             found_at AS since
      FROM storage_deletions d
      WHERE due_at <= now() AND $1 >= 0 AND object_key > $2
        AND NOT EXISTS (SELECT 1 FROM files f WHERE f.file_path = d.object_key)`,
  },
];

/** Tells what a run of the collector would delete now. */
@Injectable()
export class CollectionPreview {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'GC_GRACE'>,
    private readonly orphans: OrphanSweep,
  ) {}

  /**
   * Looks for objects that a run would find and delete in one go, as its own sweep does: unfinished
   * uploads that go on are told apart by that, and without a grace period every orphan is due when
   * it is found. Notes what it finds, deletes nothing.
   */
  async refresh(signal: AbortSignal): Promise<void> {
    if (this.config.GC_GRACE === 0) await this.orphans.sweep('', signal);
    else await this.orphans.sweepStaging(signal);
  }

  /** The candidates after a cursor, at most `limit`, each with the cursor that stands for it. */
  async page(
    after: PreviewCursor | null,
    limit: number,
  ): Promise<{ candidate: Candidate; cursor: PreviewCursor }[]> {
    const begin = after === null ? 0 : SOURCES.findIndex(({ kind }) => kind === after[0]);
    return this.unitOfWork.read(async (reader) => {
      const found: { candidate: Candidate; cursor: PreviewCursor }[] = [];
      for (const [index, source] of SOURCES.slice(begin).entries()) {
        const from = index === 0 && after !== null ? after[1] : source.first;
        const rows = await this.read(reader, source, from, limit - found.length);
        found.push(
          ...rows.map((row) => ({
            candidate: toCandidate(source, row),
            cursor: cursorOf(source, row),
          })),
        );
        if (found.length === limit) break;
      }
      return found;
    });
  }

  async totals(): Promise<CandidateTotals> {
    return this.unitOfWork.read(async (reader) => {
      const sums = new Map<PreviewCursor[0], { count: number; sizeBytes: number }>();
      for (const { kind, sql, first } of SOURCES) {
        const [sum] = await reader.query<{ count: string; size_bytes: string }>(
          `SELECT count(*), coalesce(sum(size_bytes), 0) AS size_bytes FROM (${sql}) candidates`,
          [this.config.GC_GRACE, first],
        );
        sums.set(kind, { count: Number(sum!.count), sizeBytes: Number(sum!.size_bytes) });
      }
      return {
        files: sums.get('files')!.count + sums.get('holds')!.count,
        objects: sums.get('objects')!.count,
        sizeBytes: [...sums.values()].reduce((total, { sizeBytes }) => total + sizeBytes, 0),
      };
    });
  }

  private read(
    reader: Reader,
    { sql, key }: Source,
    after: number | string,
    limit: number,
  ): Promise<Row[]> {
    return reader.query<Row>(`SELECT * FROM (${sql}) candidates ORDER BY ${key} LIMIT $3`, [
      this.config.GC_GRACE,
      after,
      limit,
    ]);
  }
}

function toCandidate({ kind }: Source, row: Row): Candidate {
  return {
    fileId: row.file_id,
    sha256: row.sha256,
    path: row.path,
    sizeBytes: Number(row.size_bytes),
    reason: reasonOf(kind, row),
    since: row.since,
  };
}

function reasonOf(kind: PreviewCursor[0], row: Row): Reason {
  if (kind === 'files') return 'unreferenced';
  if (kind === 'holds') return 'hold-expired';
  return row.sha256 === null ? 'abandoned-upload' : 'orphan';
}

function cursorOf({ kind }: Source, row: Row): PreviewCursor {
  return kind === 'objects' ? [kind, row.path] : [kind, row.file_id!];
}

/** Whether an unpacked cursor can be one of the preview's. */
export function isPreviewCursor(value: unknown): value is PreviewCursor {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [kind, key] = value as unknown[];
  if (kind === 'objects')
    return typeof key === 'string' && !key.includes('\0') && key.isWellFormed();
  return (kind === 'files' || kind === 'holds') && Number.isInteger(key) && isId(key as number);
}

function isId(key: number): boolean {
  return key > 0 && key <= MAX_ID;
}
