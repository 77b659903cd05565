import { cruise, type ICruiseResult } from 'dependency-cruiser';
import extractOptions from 'dependency-cruiser/config-utl/extract-depcruise-options';

/**
 * Holds the imports against the house rules in `.dependency-cruiser.cjs`. A run that saw nothing
 * would find nothing wrong, so it also counts what it saw.
 */
const FEWEST_MODULES = 50;

const options = await extractOptions('./.dependency-cruiser.cjs');
const { output } = await cruise(['src'], { ...options, validate: true });
const { modules, summary } = output as ICruiseResult;
const ours = modules.filter((module) => module.source.startsWith('src/'));
for (const violation of summary.violations) {
  console.error(`${violation.rule.name}: ${violation.from} -> ${violation.to}`);
}
console.log(`${ours.length} modules, ${summary.violations.length} violations`);
if (ours.length < FEWEST_MODULES || summary.violations.length > 0) process.exitCode = 1;
