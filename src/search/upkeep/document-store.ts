import type { Reader, Tx } from '../../core/contracts/unit-of-work.js';
import type { DatasetId, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { fold } from '../text/slots.js';
import { canBeMeant, spellingOf } from '../text/spelling.js';
import type { Stems } from '../text/stemmer.js';
import type { VectorSource } from '../text/vector.js';
import { NOTHING, type VersionSample } from './version-sample.js';

/** Keeps the words of documents being written from being taken for unused: any number, always this. */
export const WORDS_LOCK = 7_627_178_302;

/** What searching needs of a dataset besides what its head holds. */
export interface DatasetTruth {
  readonly id: DatasetId;
  readonly name: string;
  readonly description: string;
  readonly metadata: JsonObject;
  readonly tags: readonly string[];
  readonly createdBy: UserId;
  readonly defaultBranch: string;
}

/** A living dataset as it is now; null once it is deleted. */
export async function readTruth(tx: Reader, dataset: DatasetId): Promise<DatasetTruth | null> {
  const [row] = await tx.query<DatasetTruth>(
    `SELECT d.id, d.name, d.description, d.metadata, d.created_by AS "createdBy",
       d.default_branch AS "defaultBranch",
       ARRAY(SELECT t.tag_name FROM dataset_tags t WHERE t.dataset_id = d.id ORDER BY 1) AS tags
     FROM datasets d WHERE d.id = $1 AND d.deleted_at IS NULL`,
    [dataset],
  );
  return row ?? null;
}

/** What was read of the dataset's head when it was last indexed. */
export async function readSample(tx: Reader, dataset: DatasetId): Promise<VersionSample> {
  const [row] = await tx.query<VersionSample>(
    `SELECT head_version_id AS "headId", paths, file_types AS "fileTypes", columns,
       readme_file_id AS "readmeFileId", readme
     FROM search_texts WHERE dataset_id = $1`,
    [dataset],
  );
  return row ?? NOTHING;
}

/** A dataset's part of the index, ready to be written. */
export interface IndexedDataset {
  readonly truth: DatasetTruth;
  readonly sample: VersionSample;
  readonly totals: { readonly fileCount: number; readonly totalSizeBytes: number };
  readonly title: VectorSource;
  readonly document: VectorSource;
  readonly stems: Stems;
}

/** Puts a dataset's document in the place of the one before. */
export async function writeDocument(tx: Tx, indexed: IndexedDataset): Promise<void> {
  const { truth, sample, totals, title, document, stems } = indexed;
  await tx.query('SELECT pg_advisory_xact_lock_shared($1)', [WORDS_LOCK]);
  await tx.query(
    `INSERT INTO search_documents (dataset_id, owner_id, folded_name, spelling, tags, file_types, file_count,
       total_size, created_at, updated_at, title, document)
     SELECT d.id, d.created_by, $2, $3, $4, $5, $6, $7, d.created_at, d.updated_at, $8::tsvector, $9::tsvector
     FROM datasets d WHERE d.id = $1
     ON CONFLICT (dataset_id) DO UPDATE SET
       owner_id = excluded.owner_id, folded_name = excluded.folded_name, spelling = excluded.spelling, tags = excluded.tags,
       file_types = excluded.file_types, file_count = excluded.file_count,
       total_size = excluded.total_size, created_at = excluded.created_at,
       updated_at = excluded.updated_at, title = excluded.title, document = excluded.document`,
    [
      truth.id,
      fold(truth.name),
      spellingOf([truth.name, ...truth.tags].join(' ')),
      truth.tags,
      sample.fileTypes,
      totals.fileCount,
      totals.totalSizeBytes,
      title.vector(stems),
      document.vector(stems),
    ],
  );
  await tx.query(
    `INSERT INTO search_texts
       (dataset_id, head_version_id, readme_file_id, paths, file_types, columns, readme)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (dataset_id) DO UPDATE SET head_version_id = excluded.head_version_id,
       readme_file_id = excluded.readme_file_id, paths = excluded.paths,
       file_types = excluded.file_types, columns = excluded.columns, readme = excluded.readme`,
    [
      truth.id,
      sample.headId,
      sample.readmeFileId,
      sample.paths,
      sample.fileTypes,
      sample.columns,
      sample.readme,
    ],
  );
  await addWords(tx, document.words());
}

/** Takes a dataset out of the index. */
export async function deleteDocument(tx: Tx, dataset: DatasetId): Promise<void> {
  await tx.query('DELETE FROM search_documents WHERE dataset_id = $1', [dataset]);
}

async function addWords(tx: Tx, words: Iterable<string>): Promise<void> {
  // In one order for all, lest two documents wait for each other's words in a circle.
  const wanted = [...new Set(words)].filter(canBeMeant).sort();
  if (wanted.length === 0) return;
  await tx.query(
    `INSERT INTO search_words (word, spelling)
     SELECT w.word, w.spelling FROM unnest($1::text[], $2::text[]) w (word, spelling)
     WHERE NOT EXISTS (SELECT FROM search_words known WHERE known.word = w.word)
     ON CONFLICT (word) DO NOTHING`,
    [wanted, wanted.map(spellingOf)],
  );
}

/** Forgets the words, after one of them, that no document has any more; gives the last looked at. */
export async function dropUnusedWords(
  tx: Tx,
  after: string,
  limit: number,
): Promise<string | null> {
  await tx.query('SELECT pg_advisory_xact_lock($1)', [WORDS_LOCK]);
  const [looked] = await tx.query<{ last: string | null }>(
    `WITH looked AS (
       SELECT word FROM search_words WHERE word > $1 ORDER BY word LIMIT $2
     ), dropped AS (
       DELETE FROM search_words w USING looked l
       WHERE w.word = l.word AND NOT EXISTS (
         SELECT FROM search_documents s WHERE s.document @@ quote_literal(l.word)::tsquery)
     )
     SELECT max(word) AS last FROM looked`,
    [after, limit],
  );
  return looked?.last ?? null;
}
