import { Injectable } from '@nestjs/common';
import type { ColumnNames } from '../../core/contracts/column-names.js';
import type { Reader } from '../../core/contracts/unit-of-work.js';
import type { VersionEntry } from '../../core/contracts/versions.js';
import type { TableColumn } from '../engine/columns.js';
import { readerOptionsOrNull } from '../reader-options.js';
import { readingOf, TableContents } from './table-contents.js';

/** So many schemas are in memory at once: one may have thousands of columns. */
const BATCH = 50;

/** The columns of captured tables, fields within them included: `address`, `address.city`. */
@Injectable()
export class CapturedColumns implements ColumnNames {
  constructor(private readonly contents: TableContents) {}

  async ofEntries(tx: Reader, entries: readonly VersionEntry[], limit: number): Promise<string[]> {
    const readings = entries.flatMap((entry) => {
      const options = readerOptionsOrNull(entry.metadata);
      return options ? [readingOf(entry, options)] : [];
    });
    const names = new Set<string>();
    for (let start = 0; start < readings.length; start += BATCH) {
      const known = await this.contents.findAll(tx, readings.slice(start, start + BATCH));
      for (const content of known) {
        for (const name of namesOf(content?.description?.columns ?? [])) {
          if (names.size === limit) return [...names];
          names.add(name);
        }
      }
    }
    return [...names];
  }
}

/** What lists and maps call their parts is no name that anybody gave. */
function* namesOf(columns: readonly TableColumn[], within = ''): Generator<string> {
  for (const { name, type, fields = [] } of columns) {
    const whole = `${within}${name}`;
    yield whole;
    const named = type === 'struct' ? fields : fields.flatMap((part) => part.fields ?? []);
    yield* namesOf(named, `${whole}.`);
  }
}
