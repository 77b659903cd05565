/** What kind of thing a rebuild could not bring back. */
export type LossKind = 'record' | 'document' | 'content' | 'damaged-object' | 'name';

/** One thing that the storage lacks, or that could not be as it was. */
export interface Loss {
  readonly kind: LossKind;
  /** A sentence that names it. */
  readonly text: string;
}

/** A rebuild names so many losses of each kind; the rest it counts. */
const NAMED = 100;

/** Without these the rebuilt database is not what the lost one was. */
const GRAVE: readonly LossKind[] = ['record', 'document', 'content'];

/** Collects what is lost: however much it is, it is counted, and the first of each kind is named. */
export class Losses {
  readonly counts = new Map<LossKind, number>();
  readonly named: Loss[] = [];

  add(kind: LossKind, text: string): void {
    const count = (this.counts.get(kind) ?? 0) + 1;
    this.counts.set(kind, count);
    if (count <= NAMED) this.named.push({ kind, text });
  }

  /** How many of them are such that somebody has to accept them. */
  get grave(): number {
    return GRAVE.reduce((sum, kind) => sum + (this.counts.get(kind) ?? 0), 0);
  }
}
