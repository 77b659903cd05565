const DELIMITERS = [',', '\t', ';', '|'];
const LINES = 50;

/**
 * Guesses a CSV's delimiter: the one that splits most of the first lines into equally many fields, and
 * into the most of them. A text in which none does has one column.
 * @param head the beginning of the file
 */
export function guessDelimiter(head: string, quote: string): string {
  let best = { delimiter: ',', agreeing: 0, fields: 1 };
  for (const delimiter of DELIMITERS) {
    const counts = fieldCounts(head, delimiter, quote);
    const [fields, agreeing] = mostFrequent(counts);
    const share = agreeing / Math.max(counts.length, 1);
    if (fields < 2) continue;
    if (share > best.agreeing || (share === best.agreeing && fields > best.fields)) {
      best = { delimiter, agreeing: share, fields };
    }
  }
  return best.delimiter;
}

/** How many fields each of the first lines has; a line break within quotes ends none. */
export function fieldCounts(head: string, delimiter: string, quote: string): number[] {
  const counts: number[] = [];
  let fields = 1;
  let quoted = false;
  let empty = true;
  for (const character of head) {
    if (quote !== '' && character === quote) quoted = !quoted;
    if (!quoted && character === '\n') {
      if (!empty) counts.push(fields);
      if (counts.length === LINES) return counts;
      fields = 1;
      empty = true;
      continue;
    }
    if (character !== '\r') empty = false;
    if (!quoted && character === delimiter) fields += 1;
  }
  // The last line may be cut off; where it is all there is, it counts.
  if (!empty && (counts.length === 0 || head.length < 1024)) counts.push(fields);
  return counts;
}

function mostFrequent(counts: readonly number[]): [value: number, times: number] {
  const times = new Map<number, number>();
  for (const count of counts) times.set(count, (times.get(count) ?? 0) + 1);
  let best: [number, number] = [1, 0];
  for (const entry of times) if (entry[1] > best[1]) best = entry;
  return best;
}
