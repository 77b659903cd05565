import { slotsOf, type Slot } from './slots.js';
import type { Stems } from './stemmer.js';
import { quoteLexeme } from './ts-query.js';

/** How much a place counts: A most. */
export type Weight = 'A' | 'B' | 'C' | 'D';

/** A part of a document, in the order in which the parts matter. */
export interface WeightedText {
  readonly weight: Weight;
  readonly text: string;
}

/** PostgreSQL's own limits, with room to spare: 1 MiB a vector, positions up to 16383. */
const LARGEST_VECTOR_BYTES = 512 * 1024;
const LAST_POSITION = 16_382;
/** That many places of a word are as good as more. */
const MOST_POSITIONS = 24;
/** Keeps the last word of one text from being followed by the first of the next. */
const GAP = 4;

/** The texts' words, whose stems the vector is to be made with. */
export class VectorSource {
  private readonly parts: readonly { weight: Weight; slots: Slot[] }[];

  constructor(texts: readonly WeightedText[]) {
    this.parts = texts.map(({ weight, text }) => ({ weight, slots: [...slotsOf(text)] }));
  }

  /** All words as written. */
  *written(): Generator<string> {
    for (const { slots } of this.parts) {
      for (const { written, whole, gram } of slots) {
        if (gram) continue;
        yield written;
        if (whole) yield whole.written;
      }
    }
  }

  /** All words as compared, compounds taken apart; without those of scripts that have no spaces. */
  *words(): Generator<string> {
    for (const { slots } of this.parts)
      for (const { folded, gram } of slots) if (!gram) yield folded;
  }

  /**
   * The text of a `tsvector`: each word at its position with its stems beside it. What would pass
   * PostgreSQL's limits is left out, the last texts first.
   */
  vector(stems: Stems): string {
    const entries = new Map<string, string[]>();
    let bytes = 0;
    let position = 1;
    const add = (lexeme: string, weight: Weight): void => {
      const known = entries.get(lexeme);
      if (!known && bytes > LARGEST_VECTOR_BYTES) return;
      if (known && known.length >= MOST_POSITIONS) return;
      const place = `${Math.min(position, LAST_POSITION)}${weight}`;
      if (known?.at(-1) === place) return;
      bytes += 2 + (known ? 0 : Buffer.byteLength(lexeme) + 8);
      if (known) known.push(place);
      else entries.set(lexeme, [place]);
    };
    for (const { weight, slots } of this.parts) {
      for (const { folded, written, whole } of slots) {
        for (const each of whole ? [{ folded, written }, whole] : [{ folded, written }]) {
          add(each.folded, weight);
          for (const stem of stems.of(each.written)) add(stem, weight);
        }
        position += 1;
      }
      position += GAP;
    }
    return [...entries]
      .map(([lexeme, places]) => `${quoteLexeme(lexeme)}:${places.join(',')}`)
      .join(' ');
  }
}
