import type { PreparedSql, Reader } from '../../core/contracts/unit-of-work.js';
import type { DatasetId, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { markUp, type Highlighter } from '../text/highlight.js';
import { metadataText } from '../text/metadata-text.js';
import type { Stems } from '../text/stemmer.js';

export const FIELDS = [
  'name',
  'tags',
  'description',
  'columns',
  'metadata',
  'paths',
  'readme',
] as const;
export type Field = (typeof FIELDS)[number];

/** Where something was found, and excerpts from there: HTML with `<mark>`, all else escaped. */
export interface FieldMatch {
  readonly field: Field;
  readonly highlights: readonly string[];
}

/** A dataset that was found, as it is now; what its head holds as it was when it was indexed. */
export interface Hit {
  readonly id: DatasetId;
  readonly name: string;
  readonly description: string;
  readonly metadata: JsonObject;
  readonly tags: readonly string[];
  readonly ownerId: UserId;
  readonly ownerName: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly fileCount: number;
  readonly totalSizeBytes: number;
  readonly fileTypes: readonly string[];
  readonly paths: readonly string[];
  readonly columns: readonly string[];
  readonly readme: string;
}

/** So many of a field's values are shown: of paths, columns or tags. */
const MOST_HIGHLIGHTS = 3;

const WITHOUT_TEXTS = hitsStatement(
  'hits',
  `'{}'::text[] AS paths, '{}'::text[] AS columns, '' AS readme`,
  '',
);
const WITH_TEXTS = hitsStatement(
  'hits-with-texts',
  `coalesce(t.paths, '{}') AS paths, coalesce(t.columns, '{}') AS columns,
     coalesce(t.readme, '') AS readme`,
  'LEFT JOIN search_texts t ON t.dataset_id = d.id',
);

function hitsStatement(name: string, texts: string, join: string): PreparedSql {
  return {
    name,
    text: `SELECT d.id, d.name, d.description, d.metadata, s.tags, d.created_by AS "ownerId",
        u.name AS "ownerName", d.created_at AS "createdAt", d.updated_at AS "updatedAt",
        s.file_count::float8 AS "fileCount", s.total_size::float8 AS "totalSizeBytes",
        s.file_types AS "fileTypes", ${texts}
      FROM datasets d JOIN users u ON u.id = d.created_by
      JOIN search_documents s ON s.dataset_id = d.id ${join}
      WHERE d.id = ANY($1::integer[]) AND d.deleted_at IS NULL`,
  };
}

/** @param withTexts also what is only wanted for highlights, which may be much */
export async function readHits(
  tx: Reader,
  ids: readonly DatasetId[],
  withTexts: boolean,
): Promise<Map<DatasetId, Hit>> {
  if (ids.length === 0) return new Map();
  const rows = await tx.query<Hit>(withTexts ? WITH_TEXTS : WITHOUT_TEXTS, [ids]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** A field of a dataset that may have what was looked for. */
export interface FieldTexts {
  readonly field: Field;
  /** Those of lists one by one. */
  readonly texts: readonly string[];
}

/** The fields that may have what was looked for. It is quickly said of most that they have not. */
export function fieldsToSearch(hit: Hit, highlighter: Highlighter): FieldTexts[] {
  return [...textsOf(hit)].filter(({ texts }) => highlighter.mayBeIn(texts.join('\n')));
}

function* textsOf(hit: Hit): Generator<FieldTexts> {
  yield { field: 'name', texts: [hit.name] };
  yield { field: 'tags', texts: hit.tags };
  yield { field: 'description', texts: [hit.description] };
  yield { field: 'columns', texts: hit.columns };
  yield { field: 'metadata', texts: metadataText(hit.metadata).split('\n') };
  yield { field: 'paths', texts: hit.paths };
  yield { field: 'readme', texts: [hit.readme] };
}

/** Which fields have what was looked for, with excerpts. */
export function matchedFields(
  fields: readonly FieldTexts[],
  highlighter: Highlighter,
  stems: Stems,
): FieldMatch[] {
  return fields.flatMap(({ field, texts }) => {
    const highlights: string[] = [];
    for (const text of texts) {
      if (texts.length > 1 && !highlighter.mayBeIn(text)) continue;
      const spans = highlighter.spans(text, stems);
      if (spans.length > 0) highlights.push(markUp(text, spans));
      if (highlights.length === MOST_HIGHLIGHTS) break;
    }
    return highlights.length > 0 ? [{ field, highlights }] : [];
  });
}
