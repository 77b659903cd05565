import type { Suite } from '../harness/suite.js';
import { addBigFile, addManyFiles } from './add.js';
import { download } from './download.js';
import { memory } from './memory.js';
import { ranges } from './ranges.js';
import { smallFiles } from './small-files.js';
import { upload } from './upload.js';

export const suite: Suite = {
  name: 'foundation',
  title: 'Storing and reading files',
  remarks: [
    'Varve is the built server as `npm start` runs it, in one process with its embedded PostgreSQL at default settings (`LOG_LEVEL=warn`); every request carries an API key. Nothing is turned off for the benchmark.',
    'Load generator and server share the machine. The generator is one thread of C that sends from a prepared buffer and drops what it receives; every body is new to the server, so nothing is deduplicated.',
    'All data lies on one disk. Bytes are counted as stored once they would survive a power cut: where a peer leaves that to the operating system, a sync is part of its time, as its settings below say.',
    'Reads come from the page cache on every side. What a round stored is taken away before the next, and before each contestant starts the disk is idle and the page cache full, as on a server that has run for a while: on a virtual machine the first touch of a page of memory takes longer than writing it to the disk.',
  ],
  // The biggest last: what it writes keeps the disk busy for longest.
  measurements: [upload, download, ranges, smallFiles, addBigFile, addManyFiles, memory],
};
