import { DuckDBTypeId, type DuckDBDecimalType } from '@duckdb/node-api';
import { InvalidFilter } from '../where/invalid-filter.js';
import type { Condition, Literal } from '../where/parse.js';
import { logicalType, partsOf } from './columns.js';
import type { EngineColumn, Parameter, Session } from './session.js';
import { identifier } from './sql-text.js';
import { plainMessage } from './table-problem.js';

/** A condition in SQL, and the values that it was given as parameters. */
export interface FilterSql {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  /** What has to work before any row is looked at: the values as what they are compared as. */
  readonly casts: readonly string[];
}

const INTEGERS = /^u?int\d+$/;
const FLOATS = /^float\d+$/;
const WHOLE_NUMBER = /^-?\d{1,38}$/;

/**
 * Writes a condition as SQL for a table. Nothing of the filter's text gets into it: columns are those of
 * the table, values are parameters.
 * @throws InvalidFilter for columns that are not there, and values that do not fit them
 */
export function filterSql(condition: Condition, columns: readonly EngineColumn[]): FilterSql {
  const parameters: Parameter[] = [];
  const casts: string[] = [];
  const sql = new FilterWriter(columns, parameters, casts).write(condition);
  return { sql, parameters, casts };
}

class FilterWriter {
  constructor(
    private readonly columns: readonly EngineColumn[],
    private readonly parameters: Parameter[],
    private readonly casts: string[],
  ) {}

  write(condition: Condition): string {
    switch (condition.kind) {
      case 'and':
      case 'or':
        return `(${condition.parts.map((part) => this.write(part)).join(` ${condition.kind} `)})`;
      case 'not':
        return `(NOT ${this.write(condition.part)})`;
      case 'null': {
        const { name } = findColumn(this.columns, condition.column);
        return `${identifier(name)} IS ${condition.negated ? 'NOT ' : ''}NULL`;
      }
      case 'text': {
        const { name } = findColumn(this.columns, condition.column);
        const test = { contains: 'contains', startswith: 'starts_with', endswith: 'ends_with' };
        const value = this.parameter(condition.text);
        return `${test[condition.test]}(${identifier(name)}::VARCHAR, ${value})`;
      }
      case 'in': {
        const column = findColumn(this.columns, condition.column);
        const values = condition.values.map((value) => this.compare(column, '=', value));
        return `(${condition.negated ? 'NOT ' : ''}(${values.join(' OR ')}))`;
      }
      case 'compare':
        return this.compare(
          findColumn(this.columns, condition.column),
          condition.operator,
          condition.value,
        );
    }
  }

  private compare(column: EngineColumn, operator: string, value: Literal): string {
    const [left, type] = comparable(column, value);
    const text = value.kind === 'boolean' ? String(value.value) : value.text;
    const cast = `CAST(${this.parameter(text)} AS ${type})`;
    this.casts.push(cast);
    return `${left} ${operator} ${cast}`;
  }

  private parameter(value: string): string {
    this.parameters.push(value);
    return `$${this.parameters.length}`;
  }
}

/** What a column and a value are compared as, so that neither is rounded to fit the other. */
function comparable({ name, type }: EngineColumn, value: Literal): [left: string, type: string] {
  const column = identifier(name);
  const kind = logicalType(type);
  const wrong = (expected: string): never => {
    throw new InvalidFilter(
      `${JSON.stringify(name)} is of type ${kind}; compare it with ${expected}.`,
    );
  };
  if (partsOf(type)) return wrong('nothing but null');
  if (kind === 'boolean')
    return value.kind === 'boolean' ? [column, 'BOOLEAN'] : wrong('true or false');
  const isNumber = INTEGERS.test(kind) || FLOATS.test(kind) || kind === 'decimal';
  if (!isNumber) {
    if (value.kind !== 'text') return wrong("a 'text'");
    return kind === 'string' || kind === 'json'
      ? [`${column}::VARCHAR`, 'VARCHAR']
      : [column, type.toString()];
  }
  if (value.kind !== 'number') return wrong('a number');
  if (FLOATS.test(kind)) return [column, 'DOUBLE'];
  if (WHOLE_NUMBER.test(value.text)) {
    return type.typeId === DuckDBTypeId.UHUGEINT ? [column, 'UHUGEINT'] : [column, 'HUGEINT'];
  }
  if (kind === 'decimal') {
    const { width, scale } = type as DuckDBDecimalType;
    const digits = /\.(\d+)$/.exec(value.text)?.[1]?.length ?? 0;
    const wanted = Math.max(scale, digits);
    if (width - scale + wanted <= 38) return [column, `DECIMAL(38, ${wanted})`];
  }
  return [`${column}::DOUBLE`, 'DOUBLE'];
}

/** @throws InvalidFilter for a value that cannot be what it is compared with */
export async function checkValues(
  session: Session,
  { casts, parameters }: FilterSql,
): Promise<void> {
  // Parameters that no cast uses, of tests of texts, have to be used all the same.
  const uses = parameters.map((_, at) => `$${at + 1}::VARCHAR`);
  if (casts.length === 0) return;
  await session
    .rows(`SELECT ${[...casts, ...uses].join(', ')}`, parameters)
    .catch((error: unknown) => {
      throw new InvalidFilter(plainMessage(error));
    });
}

/** The column of that name: exactly, or but for capitals. @throws InvalidFilter */
export function findColumn(columns: readonly EngineColumn[], name: string): EngineColumn {
  const lower = name.toLowerCase();
  const found =
    columns.find((column) => column.name === name) ??
    columns.find((column) => column.name.toLowerCase() === lower);
  if (found) return found;
  const some = columns.slice(0, 20).map((column) => JSON.stringify(column.name));
  throw new InvalidFilter(
    `There is no column ${JSON.stringify(name)}; there are ${some.join(', ')}${columns.length > 20 ? ' …' : ''}.`,
  );
}
