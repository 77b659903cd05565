import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Bench, type BenchOptions } from './harness/bench.js';
import { LeftOut } from './harness/left-out.js';
import { leftOutText, machineClass, tableText, writeSection } from './harness/report.js';
import type { Detail, Findings, Measurement, Row, Suite } from './harness/suite.js';

/** What is measured where nobody says what: it takes less than ten minutes. */
const DEFAULT_SUITE = 'foundation';

const USAGE = `npm run bench -- [suite …] [--quick] [--only <text>] [--rounds <count>]

  suite          one or more of the folders here; without any, ${DEFAULT_SUITE}
  --quick        small sizes and few rounds: shows that everything runs; writes no documentation
  --only <text>  only the measurements whose work contains the text; writes no documentation
  --rounds <count>  so many rounds in each race instead of its own; writes no documentation`;

/** Every folder beside this file with a `suite.js` in it is a suite. */
async function loadSuites(names: readonly string[]): Promise<Suite[]> {
  const entries = await readdir(import.meta.dirname, { recursive: true });
  const found = entries.filter(
    (entry) => path.basename(entry) === 'suite.js' && path.dirname(entry) !== 'harness',
  );
  const known = found.map((entry) => path.dirname(entry)).sort();
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length) {
    throw new Error(`No suite ${unknown.join(', ')}; there are ${known.join(', ')}.\n\n${USAGE}`);
  }
  const wanted = names.length ? names : [DEFAULT_SUITE];
  return Promise.all(
    wanted.map(async (name) => {
      const file = path.join(import.meta.dirname, name, 'suite.js');
      return ((await import(pathToFileURL(file).href)) as { suite: Suite }).suite;
    }),
  );
}

/** What of the suites is run, and how; only a whole run is worth writing down. */
interface Choice extends BenchOptions {
  readonly only: string | null;
}

async function runSuite(suite: Suite, choice: Choice): Promise<boolean> {
  const { quick, only, rounds } = choice;
  say(`\n${suite.title}: ${machineClass()}\n`);
  const bench = await Bench.open(choice);
  const rows: Row[] = [];
  const details: Detail[] = [];
  try {
    for (const measurement of suite.measurements) {
      if (only !== null && !measurement.work.includes(only)) continue;
      const started = performance.now();
      const findings = await measure(measurement, bench);
      rows.push(...(quick ? findings.rows.map(unjudged) : findings.rows));
      details.push(...findings.details);
      say(`  ${measurement.work}: ${Math.round((performance.now() - started) / 1000)} s`);
      for (const { contestant, median, lowest, highest } of findings.details) {
        say(`      ${contestant}: ${median} (${lowest} to ${highest})`);
      }
    }
  } finally {
    await bench.close();
  }
  say(`\n${[tableText(rows), ...leftOutText(rows)].join('\n\n')}\n`);
  if (!quick && only === null && rounds === null) await writeSection(suite, { rows, details });
  return rows.every((row) => row.verdict !== 'failed' && row.verdict !== 'miss');
}

/** Small sizes say nothing about speed: only that the work was done. */
function unjudged(row: Row): Row {
  return row.verdict === 'miss' || row.verdict === 'pass' ? { ...row, verdict: 'ran' } : row;
}

/** A measurement that cannot even begin is a line of the table too. */
async function measure(measurement: Measurement, bench: Bench): Promise<Findings> {
  try {
    return await measurement.measure(bench);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const none = { ours: '–', beside: '–', theirs: '–', ratio: '–', target: '–' };
    const verdict = error instanceof LeftOut ? 'left out' : 'failed';
    return { rows: [{ work: measurement.work, ...none, verdict, reason }], details: [] };
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
  },
});
const choice: Choice = {
  quick: values.quick,
  only: values.only ?? null,
  rounds: values.rounds === undefined ? null : Math.max(1, Number(values.rounds)),
};
// A run that is cut off still ends its servers and frees the disk: Bench does it on exit.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const started = performance.now();
let allReached = true;
for (const suite of await loadSuites(positionals)) {
  allReached = (await runSuite(suite, choice)) && allReached;
}
say(`Done in ${Math.round((performance.now() - started) / 1000)} s.`);
process.exitCode = allReached ? 0 : 1;
