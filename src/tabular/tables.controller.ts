import { Controller, Get, Param, Query, Req, Res } from '@nestjs/common';
import {
  ApiExtraModels,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiResponse,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { StorageFull } from '../core/contracts/artifact-producer.js';
import { FileDamaged } from '../core/contracts/file-catalog.js';
import { MAX_ID, type DatasetId } from '../core/ids.js';
import { InvalidInput, NotFound, Unauthenticated, Unavailable } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { decodeCursor, encodeCursor } from '../platform/http/paging.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { closing } from './closing.js';
import { NotATable, NotAcceptable, TableUnreadable } from './table.problems.js';
import { RowsQuery, TableQuery } from './tables.dto.js';
import { TablesService, parseParameter } from './tables.service.js';
import { FileProblemView, RowsView, TableColumnView, TableSchemaView } from './tables.view.js';
import { parseColumns, parseOrder } from './where/column-list.js';
import { parseFilter } from './where/parse.js';

export const MEDIA_TYPES = {
  json: 'application/json',
  csv: 'text/csv',
  arrow: 'application/vnd.apache.arrow.stream',
} as const;

/** A page of one version: a branch may move between pages. */
type RowsCursor = [versionNumber: number, offset: number];

export const RefParam = () =>
  ApiParam({
    name: 'ref',
    description: 'A branch, a tag, a version number or a digest, URL-encoded.',
    schema: { type: 'string', minLength: 1, maxLength: 300 },
    example: 'main',
  });

/** Files of a version as tables. */
@ApiTags('tables')
@ApiExtraModels(FileProblemView, TableColumnView, RowsView)
@Controller({ path: 'datasets/:datasetId/refs/:ref' })
export class TablesController {
  constructor(private readonly tables: TablesService) {}

  @Get('schema')
  @OnDataset('read')
  @RefParam()
  @ApiOperation({
    operationId: 'getTableSchema',
    summary: 'What a file is as a table',
    description:
      'A file that is no table has no format, and one that cannot be read a problem: neither is an error.',
  })
  @ApiOkResponse({ type: TableSchemaView })
  @Problems(InvalidInput, Unauthenticated, NotFound, FileDamaged, StorageFull, Unavailable)
  async schema(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() { path, sheet }: TableQuery,
  ): Promise<TableSchemaView> {
    return TableSchemaView.of(await this.tables.describe(dataset, ref, path, sheet));
  }

  @Get('rows')
  @OnDataset('read')
  @RefParam()
  @ApiOperation({
    operationId: 'listTableRows',
    summary: 'Rows of a table',
    description:
      'As JSON, CSV or an Arrow stream, by `Accept`. All pages are of the version that the first one showed. CSV and Arrow name the next page in the header `Next-Cursor`. In CSV, texts that a spreadsheet would run as formulas begin with an apostrophe.',
  })
  @ApiResponse({
    status: 200,
    headers: {
      'Next-Cursor': {
        description: 'Sent as `cursor`: the next page.',
        schema: { type: 'string' },
      },
    },
    content: {
      'application/json': { schema: { $ref: getSchemaPath(RowsView) } },
      'text/csv': { schema: { type: 'string' } },
      'application/vnd.apache.arrow.stream': { schema: { type: 'string', format: 'binary' } },
    },
  })
  @Problems(
    InvalidInput,
    Unauthenticated,
    NotFound,
    NotAcceptable,
    NotATable,
    TableUnreadable,
    FileDamaged,
    StorageFull,
    Unavailable,
  )
  async rows(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() query: RowsQuery,
    @Req() req: Request,
    @Res() res: Response,
  ): Promise<void> {
    const { path, sheet, limit, cursor, columns, where, orderBy } = query;
    const format = formatOf(req);
    const from = cursor === undefined ? null : decodeCursor(cursor, isRowsCursor);
    const rows = {
      columns: columns === undefined ? null : parseParameter('columns', columns, parseColumns),
      where: where === undefined ? null : parseParameter('where', where, parseFilter),
      orderBy: orderBy === undefined ? [] : parseParameter('orderBy', orderBy, parseOrder),
      offset: from?.[1] ?? 0,
      limit,
      format,
    };
    const file = await this.tables.find(dataset, from ? String(from[0]) : ref, path, sheet);
    const page = await this.tables.rows(file, rows, closing(res));
    const next = page.more
      ? encodeCursor([file.version.versionNumber, rows.offset + page.rowCount])
      : null;
    if (next !== null) res.setHeader('Next-Cursor', next);
    res.setHeader('Content-Type', MEDIA_TYPES[format]);
    res.setHeader('X-Content-Type-Options', 'nosniff');
    res.setHeader('Vary', 'Accept');
    if (format !== 'json') res.end(page.body);
    else {
      // The rows are JSON already, exact where numbers of JavaScript would not be.
      const columnsText = JSON.stringify(page.columns.map(TableColumnView.of));
      res.write(`{"columns":${columnsText},"items":[`);
      res.write(page.body);
      res.end(`],"nextCursor":${JSON.stringify(next)}}`);
    }
  }
}

function formatOf(req: Request): 'json' | 'csv' | 'arrow' {
  const formats = ['json', 'csv', 'arrow'] as const;
  const accepted = req.accepts(formats.map((format) => MEDIA_TYPES[format]));
  const format = formats.find((each) => MEDIA_TYPES[each] === accepted);
  if (!format) throw new NotAcceptable(Object.values(MEDIA_TYPES));
  return format;
}

function isRowsCursor(value: unknown): value is RowsCursor {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [versionNumber, offset] = value as unknown[];
  return (
    Number.isInteger(versionNumber) &&
    Number(versionNumber) >= 1 &&
    Number(versionNumber) <= MAX_ID &&
    Number.isSafeInteger(offset) &&
    Number(offset) >= 1
  );
}
