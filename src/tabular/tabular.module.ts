import { Global, Module } from '@nestjs/common';
import { COLUMN_NAMES } from '../core/contracts/column-names.js';
import { TABLE_ENGINE } from '../core/contracts/tables.js';
import { bind } from '../core/token.js';
import { ComparisonsController } from './comparisons.controller.js';
import { PurgedTables } from './purged-tables.js';
import { QueriesController } from './queries.controller.js';
import { QueriesService } from './queries.service.js';
import { CapturedColumns } from './schema/captured-columns.js';
import { SchemaCapture } from './schema/schema-capture.js';
import { SchemaRules } from './schema/schema-rules.js';
import { SchemasController } from './schema/schemas.controller.js';
import { TableContents } from './schema/table-contents.js';
import { TableReader } from './schema/table-reader.js';
import { WorkerTableEngine } from './table-engine.js';
import { TableFiles } from './table-files.js';
import { TableWorkers } from './table-workers.js';
import { TablesController } from './tables.controller.js';
import { TablesService } from './tables.service.js';

/** Files as tables: what they hold, read in processes that may die of it. */
@Global()
@Module({
  controllers: [TablesController, ComparisonsController, QueriesController, SchemasController],
  providers: [
    PurgedTables,
    CapturedColumns,
    bind(COLUMN_NAMES, CapturedColumns),
    QueriesService,
    SchemaCapture,
    SchemaRules,
    TableContents,
    TableFiles,
    TableReader,
    TableWorkers,
    TablesService,
    WorkerTableEngine,
    bind(TABLE_ENGINE, WorkerTableEngine),
  ],
  exports: [COLUMN_NAMES, TABLE_ENGINE],
})
export class TabularModule {}
