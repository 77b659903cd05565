import { InvalidFilter } from './invalid-filter.js';

/** A piece of a filter, and where it began. */
export interface Token {
  readonly kind: 'word' | 'name' | 'text' | 'number' | 'sign';
  readonly text: string;
  readonly at: number;
}

const PATTERNS: readonly [Token['kind'] | 'space', RegExp][] = [
  ['space', /\s+/y],
  ['number', /-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/iy],
  ['word', /[\p{L}_][\p{L}\p{N}_]*/uy],
  ['name', /"(?:[^"]|"")+"/y],
  ['text', /'(?:[^']|'')*'/y],
  ['sign', /<=|>=|!=|<>|==|[=<>(),]/y],
];

const SAME_SIGNS: Readonly<Record<string, string>> = { '<>': '!=', '==': '=' };

/** Splits a filter into its pieces. @throws InvalidFilter at what is none */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.length;) {
    const [kind, piece] = pieceAt(text, at);
    if (kind !== 'space') tokens.push({ kind, text: meaningOf(kind, piece), at });
    at += piece.length;
  }
  return tokens;
}

function pieceAt(text: string, at: number): [Token['kind'] | 'space', string] {
  for (const [kind, pattern] of PATTERNS) {
    pattern.lastIndex = at;
    const [piece] = pattern.exec(text) ?? [];
    if (piece) return [kind, piece];
  }
  throw new InvalidFilter(
    `The filter has ${JSON.stringify(text.slice(at, at + 10))} at character ${at + 1}, which begins nothing that it knows.`,
  );
}

function meaningOf(kind: Token['kind'], piece: string): string {
  if (kind === 'name') return piece.slice(1, -1).replaceAll('""', '"');
  if (kind === 'text') return piece.slice(1, -1).replaceAll("''", "'");
  return kind === 'sign' ? (SAME_SIGNS[piece] ?? piece) : piece;
}
