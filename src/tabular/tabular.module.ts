import { Module } from '@nestjs/common';
import { TableFiles } from './table-files.js';
import { TableWorkers } from './table-workers.js';
import { TablesController } from './tables.controller.js';
import { TablesService } from './tables.service.js';

/** Files as tables: what they hold, read in processes that may die of it. */
@Module({
  controllers: [TablesController],
  providers: [TableFiles, TableWorkers, TablesService],
})
export class TabularModule {}
