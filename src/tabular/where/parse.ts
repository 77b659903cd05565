import { InvalidFilter } from './invalid-filter.js';
import { tokenize, type Token } from './tokens.js';

export type Comparison = '=' | '!=' | '<' | '<=' | '>' | '>=';
export type TextTest = 'contains' | 'startswith' | 'endswith';

/** A value as it was written. */
export type Literal =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean };

/** A condition on a row. */
export type Condition =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition }
  | { readonly kind: 'null'; readonly column: string; readonly negated: boolean }
  | {
      readonly kind: 'compare';
      readonly column: string;
      readonly operator: Comparison;
      readonly value: Literal;
    }
  | {
      readonly kind: 'in';
      readonly column: string;
      readonly negated: boolean;
      readonly values: readonly Literal[];
    }
  | {
      readonly kind: 'text';
      readonly column: string;
      readonly test: TextTest;
      readonly text: string;
    };

const MAX_NESTING = 50;
const MAX_VALUES = 1000;
const COMPARISONS: ReadonlySet<string> = new Set(['=', '!=', '<', '<=', '>', '>=']);
const TEXT_TESTS: ReadonlySet<string> = new Set(['contains', 'startswith', 'endswith']);

/**
 * Parses a filter:
 *
 *     condition  = and { "or" and }
 *     and        = not { "and" not }
 *     not        = "not" not | "(" condition ")" | test
 *     test       = column ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
 *                | column [ "not" ] "in" "(" value { "," value } ")"
 *                | column "is" [ "not" ] "null"
 *                | column ( "contains" | "startsWith" | "endsWith" ) text
 *     column     = name | '"' any '"'        value = number | 'text' | true | false
 *
 * Words are the same in capitals; a quote within quotes is written twice.
 * @throws InvalidFilter
 */
export function parseFilter(text: string): Condition {
  const parser = new Parser(tokenize(text));
  const condition = parser.condition(0);
  parser.end();
  return condition;
}

class Parser {
  private at = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  condition(depth: number): Condition {
    return this.chain('or', () => this.chain('and', () => this.negation(depth)));
  }

  end(): void {
    const token = this.tokens[this.at];
    if (token) this.fail('the end, "and" or "or"');
  }

  private chain(word: 'and' | 'or', part: () => Condition): Condition {
    const parts = [part()];
    while (this.takeWord(word)) parts.push(part());
    const [only] = parts;
    return parts.length === 1 && only ? only : { kind: word, parts };
  }

  private negation(depth: number): Condition {
    if (depth > MAX_NESTING) {
      throw new InvalidFilter(`The filter nests deeper than ${MAX_NESTING} levels.`);
    }
    if (this.takeWord('not')) return { kind: 'not', part: this.negation(depth + 1) };
    if (this.takeSign('(')) {
      const inner = this.condition(depth + 1);
      if (!this.takeSign(')')) this.fail('")"');
      return inner;
    }
    return this.test();
  }

  private test(): Condition {
    const column = this.column();
    const negated = this.takeWord('not');
    if (this.takeWord('in')) return { kind: 'in', column, negated, values: this.list() };
    if (negated) this.fail('"in"');
    if (this.takeWord('is')) {
      const isNot = this.takeWord('not');
      if (!this.takeWord('null')) this.fail('"null"');
      return { kind: 'null', column, negated: isNot };
    }
    const token = this.tokens[this.at];
    const word = token?.kind === 'word' ? token.text.toLowerCase() : '';
    if (TEXT_TESTS.has(word)) {
      this.at += 1;
      const value = this.value();
      if (value.kind !== 'text') throw new InvalidFilter(`${word} takes a text in single quotes.`);
      return { kind: 'text', column, test: word as TextTest, text: value.text };
    }
    if (token?.kind === 'sign' && COMPARISONS.has(token.text)) {
      this.at += 1;
      const operator = token.text as Comparison;
      return { kind: 'compare', column, operator, value: this.value() };
    }
    return this.fail('a comparison such as =, <, in, is null or contains');
  }

  private column(): string {
    const token = this.tokens[this.at];
    if (token?.kind !== 'word' && token?.kind !== 'name') return this.fail('the name of a column');
    this.at += 1;
    return token.text;
  }

  private list(): Literal[] {
    if (!this.takeSign('(')) this.fail('"("');
    const values = [this.value()];
    while (this.takeSign(',')) values.push(this.value());
    if (!this.takeSign(')')) this.fail('"," or ")"');
    if (values.length > MAX_VALUES) {
      throw new InvalidFilter(`A list has ${values.length} values; ${MAX_VALUES} are allowed.`);
    }
    return values;
  }

  private value(): Literal {
    const token = this.tokens[this.at];
    const word = token?.kind === 'word' ? token.text.toLowerCase() : null;
    if (word === 'true' || word === 'false') {
      this.at += 1;
      return { kind: 'boolean', value: word === 'true' };
    }
    if (token?.kind === 'text' || token?.kind === 'number') {
      this.at += 1;
      return { kind: token.kind, text: token.text };
    }
    return this.fail("a number, a 'text', true or false");
  }

  private takeWord(word: string): boolean {
    const token = this.tokens[this.at];
    if (token?.kind !== 'word' || token.text.toLowerCase() !== word) return false;
    this.at += 1;
    return true;
  }

  private takeSign(sign: string): boolean {
    const token = this.tokens[this.at];
    if (token?.kind !== 'sign' || token.text !== sign) return false;
    this.at += 1;
    return true;
  }

  private fail(expected: string): never {
    const token = this.tokens[this.at];
    const found = token ? `${JSON.stringify(token.text)} at character ${token.at + 1}` : 'the end';
    throw new InvalidFilter(`The filter has ${found} where ${expected} was expected.`);
  }
}
