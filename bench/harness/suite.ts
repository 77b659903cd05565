import type { Bench } from './bench.js';

/** What became of a line of the table; `ran` where a quick run judges nothing. */
export type Verdict = 'pass' | 'miss' | 'ran' | 'left out' | 'failed';

/** One line of a suite's table: one piece of work, done by Varve and by what stands beside it. */
export interface Row {
  readonly work: string;
  /** Varve's figure, with its unit. */
  readonly ours: string;
  /** Who stands beside it. */
  readonly beside: string;
  readonly theirs: string;
  readonly ratio: string;
  readonly target: string;
  readonly verdict: Verdict;
  /** Why a line was left out or failed. */
  readonly reason?: string;
}

/** Every figure behind the rows: who took part in which work, and how its rounds went. */
export interface Detail {
  readonly work: string;
  readonly contestant: string;
  readonly median: string;
  readonly lowest: string;
  readonly highest: string;
  readonly rounds: number;
  /** How it was set up, its durability above all. */
  readonly note: string;
}

export interface Findings {
  readonly rows: readonly Row[];
  readonly details: readonly Detail[];
}

/** One piece of work that is measured: a race (`race.ts`), or anything else that gives rows. */
export interface Measurement {
  readonly work: string;
  measure(bench: Bench): Promise<Findings>;
}

/** A section of docs/performance.md; `bench/<name>/suite.ts` exports one as `suite`. */
export interface Suite {
  readonly name: string;
  readonly title: string;
  /** What a reader must know to judge the figures: settings, what is counted, what is not. */
  readonly remarks: readonly string[];
  readonly measurements: readonly Measurement[];
}
