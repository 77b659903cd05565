import type { Client } from 'pg';
import { KIB } from '../harness/figures.js';
import type { Detail, Findings, Measurement, Row } from '../harness/suite.js';
import { histories, type Histories, type History } from './histories.js';
import { count } from './reads.js';

const WORK = 'database bytes per commit of one path';
const LIMIT_BYTES = 2 * KIB;

/** What is let go of by age, in whatever time the settings say: the logs of what happened. */
const LOGS = ['events', 'audit_log', 'jobs'];

/** The bytes that a commit adds. */
interface Growth {
  /** To the version graph, and whatever else stays for as long as the version does. */
  readonly kept: number;
  /** To the logs. */
  readonly logged: number;
}

/** What a commit adds to the database: every table with its indexes, whoever's it is. */
export const databaseBytes: Measurement = {
  work: WORK,
  async measure(bench) {
    const all = await histories(bench);
    const commits = bench.quick ? 50 : 600;
    const { large, small } = all.sizes;
    const [ours, theirs] = [
      await growth(all, all.large, large, commits),
      await growth(all, all.small, small, commits),
    ];
    const findings = (of: (growth: Growth) => number, what: string, isJudged: boolean) =>
      findingsOf([of(ours), of(theirs)], { what, isJudged, sizes: [large, small], commits });
    const kept = findings(({ kept }) => kept, 'kept with the version', true);
    const whole = findings(
      ({ kept, logged }) => kept + logged,
      'with its logs, until they go',
      false,
    );
    return { rows: [...kept.rows, ...whole.rows], details: [...kept.details, ...whole.details] };
  },
};

function findingsOf(
  bytes: readonly [number, number],
  about: {
    readonly what: string;
    readonly isJudged: boolean;
    readonly sizes: readonly [number, number];
    readonly commits: number;
  },
): Findings {
  const work = `${WORK}, ${about.what}`;
  const [ours, theirs] = bytes.map((each) => `${count(each)} B`) as [string, string];
  const [large, small] = about.sizes.map((size) => `${count(size)} files`) as [string, string];
  const verdict = Math.max(...bytes) <= LIMIT_BYTES ? 'pass' : 'miss';
  const row: Row = {
    work: `${work}, ${large}`,
    ours,
    beside: small,
    theirs,
    ratio: '–',
    target: about.isJudged ? '≤ 2 KiB' : '–',
    verdict: about.isJudged ? verdict : 'ran',
  };
  const detail = (contestant: string, text: string): Detail => ({
    work,
    contestant,
    median: text,
    lowest: text,
    highest: text,
    rounds: 1,
    note: about.isJudged
      ? `all tables and indexes but ${LOGS.join(', ')}, before and after ${count(about.commits)} commits, vacuumed each time`
      : 'all tables and indexes; events go after `EVENT_RETENTION` (30 days), the audit after `AUDIT_RETENTION` (ten years)',
  });
  return { rows: [row], details: [detail(large, ours), detail(small, theirs)] };
}

async function growth(
  { requests, database, filler }: Histories,
  { dataset }: History,
  files: number,
  commits: number,
): Promise<Growth> {
  const commit = async () => {
    const body = { message: 'm', operations: [filler.nextChange(dataset, files)] };
    await requests.post(`/datasets/${dataset.id}/versions`, body);
  };
  // The room that vacuuming freed is filled first: it would hide what is added.
  for (let i = 0; i < commits / 3; i++) await commit();
  const before = await settledSizes(database);
  for (let i = 0; i < commits; i++) await commit();
  const after = await settledSizes(database);
  const each = (isLog: boolean) => {
    const grown = [...after].map(([table, bytes]) => {
      // What was vacuumed off a table's end meanwhile says nothing about commits.
      return LOGS.includes(table) === isLog ? Math.max(0, bytes - (before.get(table) ?? 0)) : 0;
    });
    return Math.round(grown.reduce((sum, bytes) => sum + bytes, 0) / commits);
  };
  return { kept: each(false), logged: each(true) };
}

/** The sizes of all tables with their indexes, once everything that is dead has been swept. */
async function settledSizes(database: Client): Promise<Map<string, number>> {
  await database.query('VACUUM');
  const { rows } = await database.query<{ table: string; bytes: string }>(
    `SELECT relname AS table, pg_total_relation_size(oid) AS bytes
     FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  );
  return new Map(rows.map(({ table, bytes }) => [table, Number(bytes)]));
}
