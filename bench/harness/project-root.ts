import path from 'node:path';

/** The benchmarks run from dist/bench/; the C sources and docs/ lie in the project itself. */
export const projectRoot = path.resolve(import.meta.dirname, '../../..');
