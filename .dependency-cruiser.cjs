/** The house rules of docs/architecture.md: slices meet through core, never through each other. */
const SLICES =
  'storage|datasets|versioning|tabular|analysis|search|access|events|records|evaluation|queue|monitoring|legacy';

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'core-imports-nothing-from-src',
      severity: 'error',
      from: { path: '^src/core' },
      to: { path: '^src/', pathNot: '^src/core' },
    },
    {
      name: 'platform-imports-core-alone',
      severity: 'error',
      from: { path: '^src/platform' },
      to: { path: '^src/', pathNot: '^src/(core|platform)' },
    },
    {
      name: 'slices-never-import-each-other',
      severity: 'error',
      from: { path: `^src/(${SLICES})/`, pathNot: '^src/legacy/' },
      to: { path: `^src/(${SLICES})/`, pathNot: '^src/$1/' },
    },
    {
      name: 'graph-is-pure',
      severity: 'error',
      from: { path: '^src/versioning/graph' },
      to: { path: '(@nestjs|typeorm|^src/platform|^node:fs)' },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: '\\.d\\.ts$' },
      to: {},
    },
    {
      name: 'duckdb-only-in-tabular',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/tabular/' },
      to: { path: '@duckdb' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '\\.spec\\.ts$' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
  },
};
