import { Module } from '@nestjs/common';
import { QueriesController } from './queries.controller.js';
import { QueriesService } from './queries.service.js';
import { TableFiles } from './table-files.js';
import { TableWorkers } from './table-workers.js';
import { TablesController } from './tables.controller.js';
import { TablesService } from './tables.service.js';

/** Files as tables: what they hold, read in processes that may die of it. */
@Module({
  controllers: [TablesController, QueriesController],
  providers: [QueriesService, TableFiles, TableWorkers, TablesService],
})
export class TabularModule {}
