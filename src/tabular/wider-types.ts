import { TableProblem, TypesTooNarrow } from './engine/table-problem.js';

/**
 * Does work on tables; once more with types taken from all of them, where those of a sample do not fit:
 * before all of a file was read nobody knows that its sample misleads.
 * @param mayRepeat whether nothing has come of the first time yet
 * @throws TableProblem where types of all of it do not fit either
 */
export async function withWiderTypes<Table extends { readonly wholeSample: boolean }, T>(
  tables: readonly Table[],
  work: (tables: readonly Table[]) => Promise<T>,
  mayRepeat: () => boolean = () => true,
): Promise<T> {
  try {
    return await work(tables);
  } catch (error) {
    if (!(error instanceof TypesTooNarrow) || !mayRepeat()) throw error;
    if (tables.every(({ wholeSample }) => wholeSample)) {
      throw new TableProblem('malformed', error.message);
    }
    return withWiderTypes(
      tables.map((table) => ({ ...table, wholeSample: true })),
      work,
      mayRepeat,
    );
  }
}
