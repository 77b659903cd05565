import { Inject, Injectable } from '@nestjs/common';
import { ACCESS_POLICY, type AccessPolicy } from '../../core/contracts/access-policy.js';
import { FILE_CATALOG, type FileCatalog } from '../../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import {
  MAX_ID,
  type DatasetId,
  type FileId,
  type Sha256,
  type VersionId,
} from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { rangesOf, type VersionRange } from './version-ranges.js';

/** A place where a version put a content, and all versions that still have it from there. */
export interface ContentPlace {
  readonly datasetId: DatasetId;
  readonly datasetName: string;
  readonly path: string;
  readonly fileId: FileId;
  readonly versions: readonly VersionRange[];
  /** There are more ranges than are told: the dataset has forked very often since. */
  readonly hasMoreVersions: boolean;
}

/** The last place of a page. */
export type PlaceCursor = [lineage: number, version: VersionId, path: string];

export interface ContentPlaces {
  readonly places: readonly ContentPlace[];
  readonly next: PlaceCursor | null;
}

interface PlaceRow {
  readonly datasetId: DatasetId;
  readonly datasetName: string;
  readonly path: string;
  readonly lineageId: number;
  readonly versionId: VersionId;
  readonly depth: number;
}

const isId = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;

export function isPlaceCursor(value: unknown): value is PlaceCursor {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [lineage, version, path] = value as unknown[];
  const isPath = typeof path === 'string' && path.isWellFormed() && !path.includes('\0');
  return isId(lineage) && isId(version) && isPath;
}

/**
 * Finds a content in all versions of all datasets that the caller may read. A version that put it
 * somewhere has a row there, by an index on the content; which later versions have kept it is a range
 * on the lineage of that row and on those that grew from it (docs/adr/0002). So a page costs what it
 * shows, however many contents and versions there are.
 */
@Injectable()
export class ContentSearch {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
  ) {}

  /**
   * Nothing for a content that nobody has, as for one that only others have. A page may have fewer
   * places than its limit, or none, and still be followed by another.
   */
  find(
    principal: Principal,
    sha256: Sha256,
    page: { after: PlaceCursor | null; limit: number },
  ): Promise<ContentPlaces> {
    return this.unitOfWork.read(async (tx) => {
      // By itself, so that the planner knows how often this very content is used.
      const file = (await this.files.findByDigest(tx, [sha256])).get(sha256);
      if (!file) return { places: [], next: null };
      const rows = await this.rows(tx, principal, file.fileId, page);
      const shown = rows.slice(0, page.limit);
      const last = shown.at(-1);
      const ranges = await rangesOf(tx, shown);
      return {
        places: shown.flatMap(({ datasetId, datasetName, path }, index) => {
          const { ranges: versions = [], hasMore: hasMoreVersions = false } = ranges[index] ?? {};
          // What only removed versions had is nowhere any more.
          if (versions.length === 0) return [];
          return [{ datasetId, datasetName, path, fileId: file.fileId, versions, hasMoreVersions }];
        }),
        next: last && rows.length > page.limit ? [last.lineageId, last.versionId, last.path] : null,
      };
    });
  }

  private rows(
    tx: Reader,
    principal: Principal,
    file: FileId,
    { after, limit }: { after: PlaceCursor | null; limit: number },
  ): Promise<PlaceRow[]> {
    const [lineage, version, path] = after ?? [0, 0, ''];
    const readable = this.policy.readableDatasets(principal, 'd', 6);
    return tx.query<PlaceRow>(
      `SELECT d.id AS "datasetId", d.name AS "datasetName", e.component_name AS path,
         e.lineage_id AS "lineageId", e.version_id AS "versionId", e.lineage_depth AS depth
       FROM dataset_version_files e
       JOIN dataset_lineages l ON l.id = e.lineage_id
       JOIN datasets d ON d.id = l.dataset_id
       WHERE e.file_id = $1 AND e.lineage_id >= $2
         AND (e.lineage_id, e.version_id, e.component_name) > ($2, $3::integer, $4)
         AND d.deleted_at IS NULL AND (${readable.sql})
       ORDER BY e.lineage_id, e.version_id, e.component_name LIMIT $5`,
      [file, lineage, version, path, limit + 1, ...readable.parameters],
    );
  }
}
