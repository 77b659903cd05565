import { preparedFile } from '../plain-text.js';
import { writeFile } from 'node:fs/promises';
import { literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import { checkBounds, checkDirectory } from './parquet-directory.js';
import type { DatasetReader, Relation } from './reader.js';

/** Parquet, which the engine reads where it lies, once its directory has been found to be true. */
export const parquetReader: DatasetReader = {
  formats: ['parquet'],

  async open(session, { path, prepared }, format, head): Promise<Relation> {
    if (head.compression) {
      throw new TableProblem(
        'unsupported',
        'Parquet compresses its pages itself; store it as it is.',
      );
    }
    if (head.bytes.subarray(0, 4).toString('latin1') === 'PARE') {
      throw new TableProblem('encrypted', 'It is encrypted.');
    }
    // Once for each content: the walk over its pages leaves a note.
    await preparedFile(`${prepared}.parquet-checked`, async (target) => {
      await checkDirectory(session, path, false);
      await writeFile(target, '');
    });
    return {
      format,
      from: `read_parquet(${literal(path)})`,
      rowNumber: 'file_row_number',
      files: [path],
      options: { format },
      guessed: [],
      prove: async () => {
        const isChecksummed = await checkDirectory(session, path, true);
        // Checksums that fit leave nothing for the statistics to find.
        if (!isChecksummed) await checkBounds(session, path);
        return isChecksummed === true;
      },
    };
  },
};
