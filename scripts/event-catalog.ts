import { writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import ts from 'typescript';

/**
 * Writes src/core/events/catalog.schemas.ts: the interface `EventCatalog` as JSON Schema, so that
 * the catalogue is written once and what describes it cannot differ from it.
 */
const SOURCE = 'src/core/events/catalog.ts';
const TARGET = 'src/core/events/catalog.schemas.ts';

type Schema = Record<string, unknown>;

const program = ts.createProgram([SOURCE], { strict: true, noEmit: true, skipLibCheck: true });
const checker = program.getTypeChecker();
const source = program.getSourceFile(SOURCE);
if (!source) throw new Error(`${SOURCE} cannot be read`);

const catalog = source.statements.find(
  (one): one is ts.InterfaceDeclaration =>
    ts.isInterfaceDeclaration(one) && one.name.text === 'EventCatalog',
);
if (!catalog) throw new Error(`${SOURCE} has no EventCatalog`);

function documentation(symbol: ts.Symbol): Schema {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  return text ? { description: text } : {};
}

function schemaOf(type: ts.Type): Schema {
  if (type.isUnion()) return unionOf(type.types);
  if (type.isStringLiteral()) return { const: type.value };
  if (type.flags & ts.TypeFlags.String) return { type: 'string' };
  if (type.flags & ts.TypeFlags.Number) return { type: 'number' };
  if (type.flags & ts.TypeFlags.BooleanLike) return { type: 'boolean' };
  if (type.flags & ts.TypeFlags.Null) return { type: 'null' };
  if (checker.isArrayType(type)) {
    const [item] = checker.getTypeArguments(type as ts.TypeReference);
    if (item) return { type: 'array', items: schemaOf(item) };
  }
  if (type.flags & ts.TypeFlags.Object) return objectOf(type);
  throw new Error(`The catalogue says ${checker.typeToString(type)}, which is no plain data.`);
}

function unionOf(members: readonly ts.Type[]): Schema {
  // What may be left out is not required; where it is there, it is something.
  const types = members.filter((type) => !(type.flags & ts.TypeFlags.Undefined));
  const literals = types.filter((type) => type.isStringLiteral());
  const rest = types.filter((type) => !type.isStringLiteral()).map(schemaOf);
  const schemas: Schema[] = rest.filter(
    (one, index) => rest.findIndex((other) => other['type'] === one['type']) === index,
  );
  if (literals.length > 0) {
    schemas.push({ type: 'string', enum: literals.map(({ value }) => value) });
  }
  const [only] = schemas;
  if (schemas.length === 1 && only) return only;
  if (schemas.every((one) => Object.keys(one).length === 1)) {
    return { type: schemas.map((one) => one['type']) };
  }
  return { anyOf: schemas };
}

function objectOf(type: ts.Type): Schema {
  const members = type.getProperties();
  const isOptional = (member: ts.Symbol) => Boolean(member.flags & ts.SymbolFlags.Optional);
  return {
    type: 'object',
    properties: Object.fromEntries(
      members.map((member) => [
        member.name,
        { ...schemaOf(checker.getTypeOfSymbol(member)), ...documentation(member) },
      ]),
    ),
    required: members.filter((member) => !isOptional(member)).map(({ name }) => name),
  };
}

const schemas = Object.fromEntries(
  checker
    .getTypeAtLocation(catalog)
    .getProperties()
    .map((member): [string, Schema] => [
      member.name,
      { ...schemaOf(checker.getTypeOfSymbol(member)), ...documentation(member) },
    ])
    .toSorted(([a], [b]) => (a < b ? -1 : 1)),
);

const text = `import type { JsonObject } from '../json.js';

/** The data of every event type as JSON Schema. Made from the catalogue by \`npm run docs\`. */
export const EVENT_SCHEMAS: Readonly<Record<string, JsonObject>> = ${JSON.stringify(schemas)};
`;
const formatted = await format(text, { ...(await resolveConfig(TARGET)), parser: 'typescript' });
if (process.argv.includes('--print')) process.stdout.write(formatted);
else await writeFile(TARGET, formatted);
