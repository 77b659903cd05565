type Token =
  | { readonly kind: 'text'; readonly character: string }
  | { readonly kind: 'one' | 'segment' | 'any' };

/**
 * Compiles a path pattern: `*` is any text within a segment, `**` any text, `?` one character of a
 * segment; everything else stands for itself. Matching follows all possibilities side by side, so its
 * time is bounded by the product of the lengths, whatever somebody writes into a pattern.
 */
export function pathPattern(pattern: string): (path: string) => boolean {
  const tokens = tokensOf(pattern);
  return (path) => {
    let states = withSkips(new Set([0]), tokens);
    for (const character of path) {
      const next = new Set<number>();
      for (const state of states) {
        const token = tokens[state];
        if (!token) continue;
        if (token.kind === 'text') {
          if (token.character === character) next.add(state + 1);
        } else if (token.kind === 'any' || character !== '/') {
          next.add(token.kind === 'one' ? state + 1 : state);
        }
      }
      if (next.size === 0) return false;
      states = withSkips(next, tokens);
    }
    return states.has(tokens.length);
  };
}

function tokensOf(pattern: string): Token[] {
  return (pattern.match(/\*{2,}|./gsu) ?? []).map((part): Token => {
    if (part.startsWith('**')) return { kind: 'any' };
    if (part === '*') return { kind: 'segment' };
    return part === '?' ? { kind: 'one' } : { kind: 'text', character: part };
  });
}

/** Adds the states that are reached without a character: a wildcard may stand for nothing. */
function withSkips(states: Set<number>, tokens: readonly Token[]): Set<number> {
  for (const state of states) {
    const kind = tokens[state]?.kind;
    if (kind === 'segment' || kind === 'any') states.add(state + 1);
  }
  return states;
}
