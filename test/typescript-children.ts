import { pathToFileURL } from 'node:url';
import path from 'node:path';

/** Processes that code under test forks run the TypeScript sources, as the tests themselves do. */
process.execArgv = ['--import', pathToFileURL(path.resolve('test/typescript.mjs')).href];
