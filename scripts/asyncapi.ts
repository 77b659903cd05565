import { writeFile } from 'node:fs/promises';
import { describeEvents } from '../src/events/catalogue/asyncapi.js';

/** Writes the AsyncAPI document: `node dist/scripts/asyncapi.js <file>`. */
const target = process.argv[2];
if (!target) throw new Error('usage: asyncapi <file>');
await writeFile(target, `${JSON.stringify(describeEvents(), null, 2)}\n`);
