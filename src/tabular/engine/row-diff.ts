import { commonForms, type TypedSql } from './common-form.js';
import { jsonOf } from './projection.js';
import { uniqueNames } from './readers/staged-rows.js';
import type { EngineColumn, Session } from './session.js';
import { identifier, literal } from './sql-text.js';
import { InvalidRequest, NotComparable } from './table-problem.js';

/** A table, as it stands on one side of a comparison. */
export interface Side {
  readonly from: string;
  readonly columns: readonly EngineColumn[];
}

/** A column on one side, as it is called within the comparison: names of tables can say anything. */
interface SideColumn extends TypedSql {
  readonly name: string;
}

interface SharedColumn {
  readonly name: string;
  readonly base: SideColumn;
  readonly head: SideColumn;
}

/** The most columns that are compared cell by cell. */
const MAX_COMPARED = 1000;
/** How many repeated keys are told. */
const EXAMPLES = 3;

const WAS = 'b.here IS NOT NULL';
const IS = 'h.here IS NOT NULL';

/**
 * Two tables row by row, told apart by their key; a null is a key like any other. Values that have other
 * types on either side are compared by what they mean (see `commonForms`); columns that only one of the
 * tables has make no row differ.
 */
export class RowDiff {
  private readonly keys: readonly SharedColumn[];
  private readonly shared: readonly SharedColumn[];

  /** @throws InvalidRequest for key columns that are not there, NotComparable */
  constructor(
    private readonly base: Side,
    private readonly head: Side,
    key: readonly string[],
  ) {
    const was = columnsOf(base, 'b');
    const is = columnsOf(head, 'h');
    this.keys = key.map((name) => {
      const inHead = keyColumn(is, name, 'head');
      return { name: inHead.name, base: keyColumn(was, name, 'base'), head: inHead };
    });
    const names = new Set(this.keys.map(({ name }) => name));
    if (names.size < key.length) throw new InvalidRequest('The key names a column twice.');
    const before = new Map(was.map((column) => [column.name, column]));
    this.shared = is.flatMap((column) => {
      const counterpart = before.get(column.name);
      if (!counterpart || names.has(column.name)) return [];
      return [{ name: column.name, base: counterpart, head: column }];
    });
    if (this.shared.length > MAX_COMPARED) {
      throw new NotComparable(
        `The tables share ${this.shared.length} columns; ${MAX_COMPARED} can be compared: compare some of them with a SELECT.`,
      );
    }
  }

  /** The key's columns as the head calls them. */
  get key(): string[] {
    return this.keys.map(({ name }) => name);
  }

  /** How many columns a row has that one table or the other brings. */
  get width(): number {
    return this.base.columns.length + this.head.columns.length;
  }

  /** @throws NotComparable where more than one row has a key: rows are then not told apart */
  async requireUnique(session: Session): Promise<void> {
    await this.requireUniqueIn(session, 'base', 'b', this.base);
    await this.requireUniqueIn(session, 'head', 'h', this.head);
  }

  /**
   * The SELECT that makes a table of the difference: the key, what became of its row (`added`, `removed`
   * or `changed`), which columns changed, and what both tables have of the row before and after as JSON.
   */
  tableSelect(): string {
    const names = this.shared.map(({ name, base, head }) => {
      return `CASE WHEN ${distinct(base, head)} THEN ${literal(name)} END`;
    });
    const outcome = ['change', 'columns', 'before', 'after'].map((name) => ({ name }));
    // A key called as one of these gives way to it.
    const named = uniqueNames([...outcome, ...this.keys]).slice(outcome.length);
    const keys = named.map(({ name }, at) => `${this.keyValue(at)} AS ${identifier(name)}`);
    return `SELECT ${named.map(({ name }) => identifier(name)).join(', ')}, "change", "columns", "before", "after" FROM (
        SELECT ${keys.join(', ')}, ${this.orderKeys()}, ${change()} AS "change",
          CASE WHEN ${WAS} AND ${IS} THEN ${withoutNulls(names, 'VARCHAR')} ELSE [] END AS "columns",
          CASE WHEN ${WAS} THEN ${record(this.shared.map(({ base }) => base))}::VARCHAR END AS "before",
          CASE WHEN ${IS} THEN ${record(this.shared.map(({ head }) => head))}::VARCHAR END AS "after"
        FROM ${this.joined()}
      ) WHERE "change" <> 'changed' OR len("columns") > 0
      ORDER BY ${this.order()}`;
  }

  /**
   * The SELECT of every difference: of what kind it is (`change`) and its key (`k0` …), by the order of keys.
   * Little of each, so that it can be kept of very many.
   */
  keysSelect(): string {
    const differ = this.shared.map(({ base, head }) => distinct(base, head));
    const changed = differ.length === 0 ? 'FALSE' : `list_bool_or([${differ.join(', ')}])`;
    const keys = this.keys.map((_, at) => `coalesce(h.k${at}, b.k${at}) AS k${at}`);
    return `SELECT ${change()} AS "change", ${keys.join(', ')} FROM ${this.joined()}
      WHERE NOT (${WAS}) OR NOT (${IS}) OR ${changed}
      ORDER BY ${this.keys.map((_, at) => `k${at} NULLS LAST`).join(', ')}`;
  }

  /**
   * The SELECT of some differences as JSON, in their order.
   * @param some a table of them: `place`, and what `keysSelect` gives
   */
  itemSelect(some: string): string {
    const cells = this.shared.map(({ name, base, head }) => {
      const cell = `to_json({'column': ${literal(name)}, 'before': ${json(base)}, 'after': ${json(head)}})`;
      return `CASE WHEN ${distinct(base, head)} THEN ${cell} END`;
    });
    const key = this.keys.map(({ name, base, head }) => {
      return `${literal(name)}: CASE WHEN ${IS} THEN to_json(${json(head)}) ELSE to_json(${json(base)}) END`;
    });
    const row = `CASE s."change" WHEN 'added' THEN ${record(columnsOf(this.head, 'h'))}
      WHEN 'removed' THEN ${record(columnsOf(this.base, 'b'))} END`;
    const on = (side: string) =>
      this.keys.map((_, at) => `s.k${at} IS NOT DISTINCT FROM ${side}.k${at}`).join(' AND ');
    return `SELECT to_json({'change': s."change", 'key': {${key.join(', ')}}, 'row': ${row},
        'cells': CASE s."change" WHEN 'changed' THEN ${withoutNulls(cells, 'JSON')} END})::VARCHAR
      FROM ${some} s LEFT JOIN (${this.sideSelect('b')}) b ON ${on('b')}
        LEFT JOIN (${this.sideSelect('h')}) h ON ${on('h')}
      ORDER BY s.place`;
  }

  private joined(): string {
    const on = this.keys.map((_, at) => `b.k${at} IS NOT DISTINCT FROM h.k${at}`).join(' AND ');
    return `(${this.sideSelect('b')}) b FULL JOIN (${this.sideSelect('h')}) h ON ${on}`;
  }

  private sideSelect(side: 'b' | 'h'): string {
    const { from, columns } = side === 'b' ? this.base : this.head;
    const renamed = columns.map(({ name }, at) => `${identifier(name)} AS c${at}`);
    const forms = this.keyForms(side).map((form, at) => `${form} AS k${at}`);
    return `SELECT ${side}.*, TRUE AS here, ${forms.join(', ')} FROM (SELECT ${renamed.join(', ')} FROM ${from}) ${side}`;
  }

  private keyForms(side: 'b' | 'h'): string[] {
    return this.keys.map(({ base, head }) => commonForms(base, head)[side === 'b' ? 0 : 1]);
  }

  private orderKeys(): string {
    return this.keys.map((_, at) => `coalesce(h.k${at}, b.k${at}) AS "varve key ${at}"`).join(', ');
  }

  private order(): string {
    return this.keys.map((_, at) => `"varve key ${at}" NULLS LAST`).join(', ');
  }

  /** A key's value, in the type that both tables have for it, else as text. */
  private keyValue(at: number): string {
    const { base, head } = this.keys[at] as SharedColumn;
    const same = base.type.toString() === head.type.toString();
    return same ? `coalesce(${head.sql}, ${base.sql})` : `coalesce(h.k${at}, b.k${at})::VARCHAR`;
  }

  private async requireUniqueIn(
    session: Session,
    which: 'base' | 'head',
    side: 'b' | 'h',
    table: Side,
  ): Promise<void> {
    const forms = this.keyForms(side).map((form, at) => `${form} AS k${at}`);
    const renamed = table.columns.map(({ name }, at) => `${identifier(name)} AS c${at}`);
    const repeated = `SELECT ${forms.join(', ')} FROM (SELECT ${renamed.join(', ')} FROM ${table.from}) ${side}
      GROUP BY ALL HAVING count(*) > 1`;
    const rows = await session.rows<[string, string]>(
      `SELECT count(*) OVER (), to_json(r)::VARCHAR FROM (${repeated}) r LIMIT ${EXAMPLES}`,
    );
    const [first] = rows;
    if (!first) return;
    const examples = rows.map(([, json]) =>
      Object.values(JSON.parse(json) as object)
        .map((value) => JSON.stringify(value))
        .join(', '),
    );
    throw new NotComparable(
      `${first[0]} keys stand in more than one row of the ${which}, such as (${examples.join('), (')}); name columns that tell rows apart.`,
    );
  }
}

function columnsOf({ columns }: Side, side: 'b' | 'h'): SideColumn[] {
  return columns.map(({ name, type }, at) => ({ name, type, sql: `${side}.c${at}` }));
}

/** @throws InvalidRequest */
function keyColumn(columns: readonly SideColumn[], name: string, which: string): SideColumn {
  const found =
    columns.find((column) => column.name === name) ??
    columns.find((column) => column.name.toLowerCase() === name.toLowerCase());
  if (found) return found;
  const some = columns.slice(0, 20).map((column) => JSON.stringify(column.name));
  throw new InvalidRequest(
    `There is no column ${JSON.stringify(name)} in the ${which}; there are ${some.join(', ')}${columns.length > 20 ? ' …' : ''}.`,
  );
}

const change = () =>
  `CASE WHEN NOT (${WAS}) THEN 'added' WHEN NOT (${IS}) THEN 'removed' ELSE 'changed' END`;

function distinct(base: TypedSql, head: TypedSql): string {
  const [was, is] = commonForms(base, head);
  return `(${was}) IS DISTINCT FROM (${is})`;
}

const json = ({ sql, type }: TypedSql): string => jsonOf(sql, type);

function record(columns: readonly SideColumn[]): string {
  if (columns.length === 0) return `'{}'::JSON`;
  const members = columns.map((column) => `${literal(column.name)}: ${json(column)}`);
  return `to_json({${members.join(', ')}})`;
}

function withoutNulls(items: readonly string[], type: string): string {
  if (items.length === 0) return `[]::${type}[]`;
  return `list_filter([${items.join(', ')}], lambda x: x IS NOT NULL)`;
}
