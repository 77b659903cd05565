import type { Client } from 'pg';
import { KIB } from '../harness/figures.js';
import type { Detail, Measurement, Row } from '../harness/suite.js';
import { histories, type Histories, type History } from './histories.js';
import { count } from './reads.js';

const WORK = 'database bytes per commit of one path';
const LIMIT_BYTES = 2 * KIB;

/** What a commit adds to the database: every table with its indexes, the log of events too. */
export const databaseBytes: Measurement = {
  work: WORK,
  async measure(bench) {
    const all = await histories(bench);
    const commits = bench.quick ? 50 : 1500;
    const { large, small } = all.sizes;
    const ours = await growth(all, all.large, large, commits);
    const theirs = await growth(all, all.small, small, commits);
    const row: Row = {
      work: `${WORK}, ${count(large)} files`,
      ours: bytesText(ours),
      beside: `${count(small)} files`,
      theirs: bytesText(theirs),
      ratio: '–',
      target: '≤ 2 KiB',
      verdict: Math.max(ours, theirs) <= LIMIT_BYTES ? 'pass' : 'miss',
    };
    const details = [ours, theirs].map((bytes, i): Detail => {
      const text = bytesText(bytes);
      return {
        work: WORK,
        contestant: `${count(i === 0 ? large : small)} files`,
        median: text,
        lowest: text,
        highest: text,
        rounds: 1,
        note: `all tables and indexes before and after ${count(commits)} commits, vacuumed each time`,
      };
    });
    return { rows: [row], details };
  },
};

async function growth(
  { requests, database, filler }: Histories,
  { dataset }: History,
  files: number,
  commits: number,
): Promise<number> {
  const commit = async () => {
    const body = { message: 'm', operations: [filler.nextChange(dataset, files)] };
    await requests.post(`/datasets/${dataset.id}/versions`, body);
  };
  // The room that vacuuming freed is filled first: it would hide what is added.
  for (let i = 0; i < commits / 3; i++) await commit();
  const before = await settledBytes(database);
  for (let i = 0; i < commits; i++) await commit();
  return Math.round(((await settledBytes(database)) - before) / commits);
}

/** The size of all tables with their indexes, once everything that is dead has been swept. */
async function settledBytes(database: Client): Promise<number> {
  await database.query('VACUUM');
  const { rows } = await database.query<{ bytes: string }>(
    `SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
  );
  return Number(rows[0]?.bytes);
}

function bytesText(bytes: number): string {
  return `${count(bytes)} B`;
}
