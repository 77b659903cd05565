import type { Bench } from './bench.js';
import { LeftOut } from './left-out.js';
import { median, ratioText, timesText, type Figure } from './figures.js';
import type { Detail, Findings, Measurement, Row } from './suite.js';

export interface Round {
  /** Fresh in every round and the same for all contestants of one: makes contents distinct. */
  readonly stamp: bigint;
}

/** Somebody who does the work of a race. Only `run` is measured. */
export interface Contestant {
  readonly name: string;
  /** How it is set up, its durability above all. */
  readonly note: string;
  /** @throws LeftOut where it cannot take part on this machine */
  setUp?(): Promise<void>;
  /** Does the work once and gives the seconds that it took. */
  run(round: Round): Promise<number>;
  /** Takes part in no more rounds than this, where one takes very long. */
  readonly atMostRounds?: number;
  /** Undoes a round, so that the next finds things as this one did. */
  clear?(round: Round): Promise<void>;
  tearDown?(): Promise<void>;
}

/**
 * A line of the table. Either a ratio of speeds, where more is better: `contestant` is to be at least
 * `atLeast` times as fast as `against`, or merely stands beside it. Or a ratio of times, where less is
 * better: it is to take at most `atMost` times as long.
 */
export type Comparison = {
  readonly contestant: string;
  readonly against: string;
  /** How the table words the target, where it is not `≥ …` or `≤ …`. */
  readonly target?: string;
} & ({ readonly atLeast: number } | { readonly atMost: number } | { readonly mark: true });

export interface Race {
  readonly contestants: readonly Contestant[];
  readonly comparisons: readonly Comparison[];
  readonly rounds: number;
  /** Rounds before those that count: compilers warm up, caches fill. */
  readonly warmUps: number;
  /** How the table words a time. */
  readonly figure: Figure;
  /** Makes what all contestants of a round work on. */
  prepare?(round: Round): Promise<void>;
  /** The work writes much: what the last contestant left unwritten is written before the next. */
  readonly settle?: boolean;
}

interface Runner {
  readonly contestant: Contestant;
  readonly seconds: number[];
  outcome: { verdict: 'left out' | 'failed'; reason: string } | null;
}

/**
 * Contestants doing the same work in turn, A B C A B C …: what disturbs the machine meanwhile
 * disturbs all of them. One that fails drops out, and the others go on.
 */
export function race(work: string, define: (bench: Bench) => Race | Promise<Race>): Measurement {
  return {
    work,
    async measure(bench) {
      const definition = await define(bench);
      const runners: Runner[] = definition.contestants.map((contestant) => {
        return { contestant, seconds: [], outcome: null };
      });
      try {
        for (const runner of runners)
          await attempt(runner, async () => runner.contestant.setUp?.());
        const { warmUps, rounds } = definition;
        for (let number = -warmUps; number < bench.rounds(rounds); number++) {
          await runRound(bench, definition, runners, { stamp: bench.nextStamp() }, number >= 0);
        }
      } finally {
        for (const { contestant } of runners) await contestant.tearDown?.().catch(() => undefined);
      }
      return findings(work, definition, runners);
    },
  };
}

async function runRound(
  bench: Bench,
  definition: Race,
  runners: Runner[],
  round: Round,
  counts: boolean,
) {
  await definition.prepare?.(round);
  for (const runner of runners) {
    const { atMostRounds = Infinity } = runner.contestant;
    if (runner.outcome || runner.seconds.length >= atMostRounds) continue;
    // Who takes very long has no warm-up either.
    if (!counts && atMostRounds < Infinity) continue;
    if (definition.settle) await bench.settle();
    await attempt(runner, async () => {
      const seconds = await runner.contestant.run(round);
      if (counts) runner.seconds.push(seconds);
      await runner.contestant.clear?.(round);
    });
  }
}

async function attempt(runner: Runner, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    runner.outcome = { verdict: error instanceof LeftOut ? 'left out' : 'failed', reason };
  }
}

function findings(work: string, definition: Race, runners: readonly Runner[]): Findings {
  const named = new Map(runners.map((runner) => [runner.contestant.name, runner]));
  return {
    rows: definition.comparisons.map((comparison) => row(work, definition, comparison, named)),
    details: runners.map((runner) => detail(work, definition, runner)),
  };
}

function row(
  work: string,
  { figure }: Race,
  comparison: Comparison,
  named: ReadonlyMap<string, Runner>,
): Row {
  const ours = named.get(comparison.contestant);
  const theirs = named.get(comparison.against);
  if (!ours || !theirs) throw new Error(`${work}: who is ${comparison.against}?`);
  const words = {
    work: ours.contestant.name === 'Varve' ? work : `${work}, ${ours.contestant.name}`,
    ours: figureOf(ours, figure),
    beside: theirs.contestant.name,
    theirs: figureOf(theirs, figure),
    target: comparison.target ?? targetText(comparison),
  };
  const outcome = ours.outcome ?? theirs.outcome;
  if (outcome) return { ...words, ratio: '–', ...outcome };
  const speed = median(theirs.seconds) / median(ours.seconds);
  if ('atMost' in comparison) {
    const verdict = 1 / speed <= comparison.atMost ? 'pass' : 'miss';
    return { ...words, ratio: timesText(1 / speed), verdict };
  }
  const ratio = ratioText(speed);
  if ('mark' in comparison) return { ...words, ratio, verdict: 'ran' };
  return { ...words, ratio, verdict: speed >= comparison.atLeast ? 'pass' : 'miss' };
}

function targetText(comparison: Comparison): string {
  if ('atMost' in comparison) return `≤ ${comparison.atMost.toFixed(2)}`;
  return 'mark' in comparison ? 'a mark' : `≥ ${comparison.atLeast.toFixed(2)}`;
}

function detail(work: string, { figure }: Race, runner: Runner): Detail {
  const { contestant, seconds, outcome } = runner;
  const ended = outcome ? `${outcome.verdict}: ${outcome.reason}. ` : '';
  return {
    work,
    contestant: contestant.name,
    median: figureOf(runner, figure),
    lowest: seconds.length ? figure(Math.max(...seconds)) : '–',
    highest: seconds.length ? figure(Math.min(...seconds)) : '–',
    rounds: seconds.length,
    note: ended + contestant.note,
  };
}

function figureOf(runner: Runner, figure: Figure): string {
  return runner.seconds.length ? figure(median(runner.seconds)) : '–';
}
