import { literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import type { DatasetReader, Relation } from './reader.js';

/** Parquet, which the engine reads where it lies. */
export const parquetReader: DatasetReader = {
  formats: ['parquet'],

  async open(_session, source, format, head): Promise<Relation> {
    if (head.compression) {
      throw new TableProblem(
        'unsupported',
        'Parquet compresses its pages itself; store it as it is.',
      );
    }
    if (head.bytes.subarray(0, 4).toString('latin1') === 'PARE') {
      throw new TableProblem('encrypted', 'It is encrypted.');
    }
    return {
      format,
      from: `read_parquet(${literal(source.path)})`,
      rowNumber: 'file_row_number',
      files: [source.path],
      options: { format },
      guessed: [],
    };
  },
};
