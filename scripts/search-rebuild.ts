/**
 * Makes the search index anew from outside: `npm run search:rebuild -- --data-dir ./data`. Works
 * beside running servers as well as while there is none.
 *
 * Exits with 0 when the index is whole, 2 when it could not be made.
 */
import { stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { DataSource } from 'typeorm';
import { ENTITIES } from '../ormconfig.js';
import { DatasetsRepository } from '../src/datasets/datasets.repository.js';
import { readConfig, type Config } from '../src/platform/config/config.js';
import { connectToEmbedded } from '../src/platform/database/connect-to-embedded.js';
import { migrate } from '../src/platform/database/migrate.js';
import { postgresOptions } from '../src/platform/database/postgres-options.js';
import { TypeOrmUnitOfWork } from '../src/platform/database/unit-of-work.js';
import { Stemmer } from '../src/search/text/stemmer.js';
import { analysisOf, isCurrent } from '../src/search/upkeep/analysis.js';
import { Indexer } from '../src/search/upkeep/indexer.js';
import { Rebuild } from '../src/search/upkeep/rebuild.js';
import { VersionSampler } from '../src/search/upkeep/version-sample.js';
import { createStorageBackend } from '../src/storage/backend/backend.factory.js';
import { SqlFileCatalog } from '../src/storage/catalog/file-catalog.js';
import { CapturedColumns } from '../src/tabular/schema/captured-columns.js';
import { TableContents } from '../src/tabular/schema/table-contents.js';
import { Refs } from '../src/versioning/refs.js';
import { SqlVersionReader } from '../src/versioning/version-reader.js';
import { VersionTree } from '../src/versioning/version-tree.js';

const USAGE = `Usage: npm run search:rebuild -- [options]

  --data-dir <path>       the server's DATA_DIR (default: the variable, or ./data)
  --database-url <url>    an outside PostgreSQL (default: DATABASE_URL, or the one in the data
                          directory)
  --storage-url <url>     where bytes lie (default: STORAGE_URL, or the data directory)
  --help                  print this`;

const { values } = parseArgs({
  options: {
    'data-dir': { type: 'string' },
    'database-url': { type: 'string' },
    'storage-url': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

try {
  if (values.help) {
    console.log(USAGE);
  } else {
    const config = readConfig({
      ...process.env,
      ...(values['data-dir'] && { DATA_DIR: values['data-dir'] }),
      ...(values['database-url'] && { DATABASE_URL: values['database-url'] }),
      ...(values['storage-url'] && { STORAGE_URL: values['storage-url'] }),
    });
    const datasets = await rebuild(config);
    console.log(`The search index is made anew, from ${datasets} datasets.`);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}

async function rebuild(config: Config): Promise<number> {
  const found = await stat(config.DATA_DIR).catch(() => null);
  // Opening what is not there would make it.
  if ((!config.DATABASE_URL || !config.STORAGE_URL) && !found?.isDirectory()) {
    throw new Error(`There is no data directory ${config.DATA_DIR}.`);
  }
  const server = config.DATABASE_URL
    ? { url: config.DATABASE_URL, close: async () => undefined }
    : await connectToEmbedded(config.DATA_DIR, {
        info: () => undefined,
        warn: console.error,
        error: console.error,
      });
  try {
    await migrate(server.url);
    const dataSource = new DataSource({
      ...postgresOptions({ url: server.url, poolSize: 6, onPoolError: () => undefined }),
      entities: ENTITIES,
    });
    await dataSource.initialize();
    try {
      return await rebuildOn(dataSource, config);
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await server.close();
  }
}

async function rebuildOn(dataSource: DataSource, config: Config): Promise<number> {
  const unitOfWork = new TypeOrmUnitOfWork(dataSource, console.error);
  if (!(await unitOfWork.read((tx) => isCurrent(tx, analysisOf(config))))) {
    throw new Error('The servers index other SEARCH_LANGUAGES than are set here; set the same.');
  }
  const files = new SqlFileCatalog(
    unitOfWork,
    await createStorageBackend(config.STORAGE_URL, config),
  );
  const versions = new SqlVersionReader(
    new Refs(new DatasetsRepository(config)),
    new VersionTree(files),
  );
  const columns = new CapturedColumns(new TableContents());
  const sampler = new VersionSampler(unitOfWork, versions, files, columns);
  const indexer = new Indexer(unitOfWork, versions, sampler, new Stemmer(config));
  const { datasets } = await new Rebuild(unitOfWork, indexer).run(
    new AbortController().signal,
    async (percent, message) => console.log(`${Math.round(percent)} % ${message}`),
  );
  return datasets;
}
