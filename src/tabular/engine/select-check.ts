import type { Session } from './session.js';
import { InvalidRequest } from './table-problem.js';

/** Functions that make rows of nothing but their arguments. */
const TABLE_FUNCTIONS = new Set(['range', 'generate_series', 'unnest', 'repeat', 'repeat_row']);

/** What may stand in a FROM clause. */
const SOURCES = new Set([
  'BASE_TABLE',
  'SUBQUERY',
  'JOIN',
  'TABLE_FUNCTION',
  'EXPRESSION_LIST',
  'COLUMN_DATA',
  'EMPTY',
  'EMPTY_FROM',
  'PIVOT',
  'CTE',
]);

/** Functions that tell of the server, leave traces in it, or keep a worker from others for nothing. */
const FORBIDDEN_FUNCTIONS = new Set([
  'current_setting',
  'getenv',
  'getvariable',
  'nextval',
  'currval',
  'pg_sleep',
  'sleep_ms',
  'write_log',
  'pg_get_viewdef',
]);

const MAX_SQL_TABLES = 50;

type Node = Record<string, unknown>;

/**
 * The names of the tables that a SELECT reads, once it has been found to be one statement that does
 * nothing else: the engine's own parser says what the text means, and whatever is not known to be
 * harmless is refused.
 * @throws InvalidRequest
 */
export async function tablesOf(session: Session, sql: string): Promise<string[]> {
  const [text] = await session.row<[string]>(
    'SELECT json_serialize_sql($1::VARCHAR, skip_null := false, skip_empty := false)::VARCHAR',
    [sql],
  );
  const parsed = parse(text);
  if (parsed.error) {
    throw new InvalidRequest(
      /Only SELECT/.test(parsed.error_message ?? '')
        ? 'Only a SELECT can be run.'
        : `The SQL cannot be read: ${parsed.error_message}`,
    );
  }
  if (parsed.statements?.length !== 1) throw new InvalidRequest('Send one statement, a SELECT.');
  const found = new Findings();
  found.look(parsed.statements[0]);
  const tables = [...found.tables].filter((name) => !found.locals.has(name.toLowerCase()));
  if (tables.length > MAX_SQL_TABLES) {
    throw new InvalidRequest(`It reads ${tables.length} tables; ${MAX_SQL_TABLES} are allowed.`);
  }
  return tables;
}

interface Parsed {
  readonly error: boolean;
  readonly error_message?: string;
  readonly statements?: readonly Node[];
}

/** @throws InvalidRequest for numbers that JSON has no text for, such as 1e400 */
function parse(text: string): Parsed {
  try {
    return JSON.parse(text) as Parsed;
  } catch {
    throw new InvalidRequest('The SQL has a number in it that is too large to be one.');
  }
}

/** What a parsed statement reads and calls. */
class Findings {
  readonly tables = new Set<string>();
  /** Names that the statement itself defines, in WITH. */
  readonly locals = new Set<string>();

  /** Keeps its own list of what is left to see: a statement may nest deeper than a stack reaches. */
  look(root: unknown): void {
    const left = [root];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      if (typeof next !== 'object' || next === null) continue;
      if (Array.isArray(next)) {
        for (const item of next) if (item !== null) left.push(item);
        continue;
      }
      const node = next as Node;
      this.check(node);
      for (const [name, member] of Object.entries(node)) {
        if (name === 'cte_map') this.noteLocals(member);
        if (member !== null && member !== undefined) left.push(member);
      }
    }
  }

  private noteLocals(map: unknown): void {
    const { map: entries = [] } = (map ?? {}) as { map?: { key?: unknown }[] };
    for (const { key } of entries) if (typeof key === 'string') this.locals.add(key.toLowerCase());
  }

  private check(node: Node): void {
    const { type } = node;
    if (typeof type !== 'string') return;
    if ('class' in node) {
      const name = node['function_name'];
      if (typeof name === 'string' && FORBIDDEN_FUNCTIONS.has(name.toLowerCase())) {
        throw new InvalidRequest(`The function ${name} cannot be used.`);
      }
      return;
    }
    // A source of rows: everything that has an alias and may be sampled.
    if (!('sample' in node) || !('alias' in node)) return;
    if (!SOURCES.has(type)) throw new InvalidRequest(`${type} cannot stand after FROM.`);
    if (type === 'BASE_TABLE') this.noteTable(node);
    if (type === 'TABLE_FUNCTION') checkTableFunction(node['function']);
  }

  private noteTable({ table_name, schema_name, catalog_name }: Node): void {
    if ((schema_name ?? '') !== '' || (catalog_name ?? '') !== '') {
      throw new InvalidRequest(
        'Tables are named by their paths alone, in double quotes: SELECT * FROM "path/to/file.csv".',
      );
    }
    this.tables.add(String(table_name));
  }
}

function checkTableFunction(call: unknown): void {
  const { function_name: name, schema, catalog } = (call ?? {}) as Node;
  const plain = (schema ?? '') === '' && (catalog ?? '') === '';
  if (plain && typeof name === 'string' && TABLE_FUNCTIONS.has(name.toLowerCase())) return;
  throw new InvalidRequest(
    `${String(name)}(…) cannot be read from; name a file of the version: SELECT * FROM "path/to/file.csv".`,
  );
}
