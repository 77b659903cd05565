import { Body, Controller, Get, Inject, Put, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { StorageFull } from '../../core/contracts/artifact-producer.js';
import { FileDamaged } from '../../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { DatasetId } from '../../core/ids.js';
import {
  Forbidden,
  InvalidInput,
  NotFound,
  Unauthenticated,
  Unavailable,
} from '../../core/problems.js';
import { OnDataset } from '../../platform/http/access.decorators.js';
import { IdParam } from '../../platform/http/id-param.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { NotATable, TableUnreadable } from '../table.problems.js';
import { TablesService } from '../tables.service.js';
import { diffSchemas } from './schema-diff.js';
import { CompareSchemaQuery, SchemaDiffView, SchemaRulesDto } from './schemas.dto.js';
import { SchemaRules } from './schema-rules.js';

/** How the schemas of a dataset's tables change, and how they may. */
@ApiTags('tables')
@Controller({ path: 'datasets/:datasetId' })
export class SchemasController {
  constructor(
    private readonly tables: TablesService,
    private readonly schemaRules: SchemaRules,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get('compare/schema')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'compareTableSchemas',
    summary: 'What became of a table’s columns',
    description: 'Between two versions, and whether their readers can go on.',
  })
  @ApiOkResponse({ type: SchemaDiffView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    NotFound,
    NotATable,
    TableUnreadable,
    FileDamaged,
    StorageFull,
    Unavailable,
  )
  async compare(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() { base, head, path, sheet }: CompareSchemaQuery,
  ): Promise<SchemaDiffView> {
    // One after the other: where both cannot be had, it is always the first that is told of.
    const before = await this.tables.columns(dataset, base, path, sheet);
    const after = await this.tables.columns(dataset, head, path, sheet);
    return SchemaDiffView.of(diffSchemas(before, after));
  }

  @Get('schema-rules')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'getSchemaRules',
    summary: 'How the schemas of the dataset’s tables may change',
  })
  @ApiOkResponse({ type: SchemaRulesDto })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async rules(@IdParam('datasetId') dataset: DatasetId): Promise<SchemaRulesDto> {
    return { rules: await this.unitOfWork.read((tx) => this.schemaRules.rules(tx, dataset)) };
  }

  @Put('schema-rules')
  @OnDataset('admin')
  @ApiOperation({
    operationId: 'setSchemaRules',
    summary: 'Set how the schemas of the dataset’s tables may change',
    description:
      'Every commit, draft and merge from then on: one that breaks a rule is refused (422) with every violation. Versions that exist stay.',
  })
  @ApiOkResponse({ type: SchemaRulesDto })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async setRules(
    @IdParam('datasetId') dataset: DatasetId,
    @Body() body: SchemaRulesDto,
  ): Promise<SchemaRulesDto> {
    await this.unitOfWork.run((tx) => this.schemaRules.setRules(tx, dataset, body.rules));
    return body;
  }
}
