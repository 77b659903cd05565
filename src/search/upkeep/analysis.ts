import type { Reader, Tx } from '../../core/contracts/unit-of-work.js';
import type { Config } from '../../platform/config/config.js';

/** Grows when words are cut up or weighed in another way than before: older documents are made anew. */
const REVISION = 1;

/** Names the way in which texts become words; documents made in two ways do not mix. */
export function analysisOf({ SEARCH_LANGUAGES }: Pick<Config, 'SEARCH_LANGUAGES'>): string {
  return [REVISION, ...SEARCH_LANGUAGES.toSorted()].join(' ');
}

/**
 * Makes an analysis the one in which all documents are to be; true where there are datasets whose
 * documents are in another one, or do not exist yet.
 */
export async function adoptAnalysis(tx: Tx, analysis: string): Promise<boolean> {
  const [adopted] = await tx.query<{ hasDatasets: boolean }>(
    `INSERT INTO search_state (analysis) VALUES ($1)
     ON CONFLICT (id) DO UPDATE SET analysis = excluded.analysis
       WHERE search_state.analysis <> excluded.analysis
     RETURNING EXISTS (SELECT FROM datasets) AS "hasDatasets"`,
    [analysis],
  );
  return adopted?.hasDatasets ?? false;
}

/** Whether documents may be made in this way: a replica that started with another one has said no. */
export async function isCurrent(tx: Reader, analysis: string): Promise<boolean> {
  const [state] = await tx.query<{ analysis: string }>('SELECT analysis FROM search_state');
  return state === undefined || state.analysis === analysis;
}
