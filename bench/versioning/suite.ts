import type { Suite } from '../harness/suite.js';
import { archive } from './archive.js';
import { databaseBytes } from './database-bytes.js';
import { commits } from './commits.js';
import { branches, differences, lookups, pages } from './reads.js';
import { removals } from './removals.js';

export const suite: Suite = {
  name: 'versioning',
  title: 'The cost of versions',
  remarks: [
    'Here a ratio with a `≤` is one of times: Varve’s median time for the first over that for what stands beside it, so that less is better and 1.00 is no dearer. Where the target is `≥` or `ahead` it is one of speeds, as elsewhere.',
    'Every figure but the bare SQL is of a whole request over HTTP on a connection that stays open, the API key, the answer and a client on the same machine included. Contestants take turns request by request.',
    'Varve is the built server as `npm start` runs it, with its embedded PostgreSQL at default settings. A commit is answered once its overlay document and its rows are synced.',
    'The large datasets and deep histories are written straight into the database and the storage, for a million uploads would take the day; the run first fills a small one so and has the server commit the same, and goes on only if both are stored alike, row by row. A million paths share a hundred contents.',
  ],
  // The archive last: what it writes keeps the disk busy for longest.
  measurements: [pages, lookups, differences, branches, commits, databaseBytes, removals, archive],
};
