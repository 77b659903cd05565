import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import { GIB } from './figures.js';
import { projectRoot } from './project-root.js';
import type { Detail, Findings, Row, Suite } from './suite.js';

const FILE = path.join(projectRoot, 'docs/performance.md');

const PREAMBLE = `# Performance

Written by \`npm run bench\`; each section by the last full run of its suite (\`npm run bench -- <suite>\`).
Everything in a section was measured in one run on one machine. What is compared took turns, round by
round, and a figure is the median of its rounds; a ratio is Varve's median speed over that of what stands beside
it, so more is better and 1.00 is as fast.
`;

/** Puts a suite's section into docs/performance.md, in its place or at the end. */
export async function writeSection(suite: Suite, findings: Findings): Promise<void> {
  const before = await readFile(FILE, 'utf8').catch(() => PREAMBLE);
  const start = `<!-- bench:${suite.name} -->`;
  const end = `<!-- /bench:${suite.name} -->`;
  const section = `${start}\n\n${sectionText(suite, findings)}\n${end}`;
  const from = before.indexOf(start);
  const to = before.indexOf(end);
  const after =
    from >= 0 && to > from
      ? before.slice(0, from) + section + before.slice(to + end.length)
      : `${before.trimEnd()}\n\n${section}\n`;
  await writeFile(FILE, after);
}

function sectionText(suite: Suite, { rows, details }: Findings): string {
  const day = new Date().toISOString().slice(0, 10);
  const parts = [
    `## ${suite.title}`,
    `Measured on ${day} on a machine with ${machineClass()}.`,
    tableText(rows),
    ...leftOutText(rows),
    ...(suite.remarks.length ? [suite.remarks.map((remark) => `- ${remark}`).join('\n')] : []),
    '<details>\n<summary>Every contestant, its rounds and its settings</summary>',
    detailsText(details),
    '</details>',
  ];
  return `${parts.join('\n\n')}\n`;
}

/** What matters for reading the figures, and nothing that tells whose machine it was. */
export function machineClass(): string {
  const memory = Math.round(totalmem() / GIB);
  const system = `${process.platform} on ${process.arch}`;
  return `${availableParallelism()} cores, ${memory} GiB of memory, Node ${process.versions.node}, ${system}`;
}

/** The table of a suite, as Markdown that also reads well in a terminal. */
export function tableText(rows: readonly Row[]): string {
  return markdownTable(
    ['work', 'Varve', 'beside it', 'its figure', 'ratio', 'target', 'verdict'],
    rows.map((row) => [
      row.work,
      row.ours,
      row.beside,
      row.theirs,
      row.ratio,
      row.target,
      row.verdict === 'miss' ? '**miss**' : row.verdict,
    ]),
  );
}

/** Why lines have no ratio. */
export function leftOutText(rows: readonly Row[]): string[] {
  const lines = rows
    .filter((row) => row.reason !== undefined)
    .map((row) => `- ${row.work}, beside ${row.beside}, ${row.verdict}: ${row.reason}`);
  return lines.length ? [lines.join('\n')] : [];
}

function detailsText(details: readonly Detail[]): string {
  return markdownTable(
    ['work', 'contestant', 'median', 'slowest', 'fastest', 'rounds', 'set up'],
    details.map((detail) => [
      detail.work,
      detail.contestant,
      detail.median,
      detail.lowest,
      detail.highest,
      String(detail.rounds),
      detail.note,
    ]),
  );
}

function markdownTable(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const cells = [head, ...lines].map((line) => line.map((cell) => cell.replaceAll('|', '\\|')));
  const widths = head.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const text = (line: readonly string[]) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const [first, ...others] = cells.map(text);
  return [first, `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...others].join(
    '\n',
  );
}
