import type { Suite } from '../harness/suite.js';
import { capture } from './capture.js';
import { others } from './others.js';
import { firstRows, profile } from './reading.js';
import { results, sample } from './results.js';
import { workerMemory } from './worker-memory.js';

export const suite: Suite = {
  name: 'tables',
  title: 'Files as tables',
  remarks: [
    'DuckDB alone runs in the benchmark’s own process, warm, with the threads and the memory of one of Varve’s workers, over the same bytes on the same disk.',
    'Varve is the built server; every request carries an API key and is answered by HTTP.',
    'DuckDB writes no Arrow: the Arrow result stands beside its Parquet.',
  ],
  measurements: [...firstRows, profile, sample, ...results, capture, others, workerMemory],
};
