import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { StorageFull } from '../core/contracts/artifact-producer.js';
import { FileDamaged } from '../core/contracts/file-catalog.js';
import type { DatasetId } from '../core/ids.js';
import { InvalidInput, NotFound, Unauthenticated, Unavailable } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { ResponseBody } from '../platform/http/response-body.js';
import { closing } from './closing.js';
import type { OutputFormat } from './engine/output.js';
import { HistogramView, QuantilesView, TableProfileView } from './profile.view.js';
import { QueriesService } from './queries.service.js';
import { NotATable, TableUnreadable } from './table.problems.js';
import { RefParam } from './tables.controller.js';
import { QueryDto, TableQuery } from './tables.dto.js';
import { TablesService } from './tables.service.js';

const RESULT_TYPES: Record<OutputFormat, string> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
  parquet: 'application/vnd.apache.parquet',
  arrow: 'application/vnd.apache.arrow.stream',
};

/** What is computed over whole tables while the caller waits. */
@ApiTags('tables')
@ApiExtraModels(HistogramView, QuantilesView)
@Controller({ path: 'datasets/:datasetId/refs/:ref' })
export class QueriesController {
  constructor(
    private readonly tables: TablesService,
    private readonly queries: QueriesService,
  ) {}

  @Get('profile')
  @OnDataset('read')
  @RefParam()
  @ApiOperation({
    operationId: 'getTableProfile',
    summary: 'Statistics of a table',
    description: 'Of all its rows; what is approximate says so.',
  })
  @ApiOkResponse({ type: TableProfileView })
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
  async profile(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() { path, sheet }: TableQuery,
    @Res({ passthrough: true }) res: Response,
  ): Promise<TableProfileView> {
    const file = await this.tables.find(dataset, ref, path, sheet);
    return TableProfileView.of(await this.tables.profile(file, closing(res)));
  }

  @Post('query')
  @OnDataset('read')
  @RefParam()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'queryTables',
    summary: 'Run a SELECT over the tables of a version',
    description:
      'The result is streamed while it is made: one that breaks off half-way never ends well. It ends when the caller goes away. JSON is a list of rows, exact as rows are; in CSV, texts that a spreadsheet would run as formulas begin with an apostrophe.',
  })
  @ApiResponse({
    status: 200,
    description: 'The rows, in the format that was asked for.',
    content: {
      'application/json': {
        schema: { type: 'array', items: { type: 'object', additionalProperties: true } },
      },
      'application/x-ndjson': { schema: { type: 'string' } },
      'text/csv': { schema: { type: 'string' } },
      'application/vnd.apache.parquet': { schema: { type: 'string', format: 'binary' } },
      'application/vnd.apache.arrow.stream': { schema: { type: 'string', format: 'binary' } },
    },
  })
  @Problems(
    InvalidInput,
    Unauthenticated,
    NotFound,
    TableUnreadable,
    FileDamaged,
    StorageFull,
    Unavailable,
  )
  async query(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Body() query: QueryDto,
    @Req() req: Request,
    @Res() res: Response,
  ): Promise<void> {
    const signal = closing(res);
    await this.queries.run(dataset, ref, query, signal, async (result, answered) => {
      // Nothing is said before something is there: until then all may still be refused.
      await result.begun();
      res.setHeader('Content-Type', RESULT_TYPES[query.format]);
      res.setHeader('X-Content-Type-Options', 'nosniff');
      const body = new ResponseBody(req, res);
      try {
        for await (const piece of result.pieces()) await body.write(piece);
      } finally {
        body.dispose();
      }
      // The end of the bytes is not the end of the work: it may have failed.
      await answered;
      res.end();
    });
  }
}
