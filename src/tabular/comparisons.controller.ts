import { Controller, Get, Query, Res } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { StorageFull } from '../core/contracts/artifact-producer.js';
import { FileDamaged } from '../core/contracts/file-catalog.js';
import { ContentPurged } from '../core/contracts/versions.js';
import { MAX_ID, type DatasetId } from '../core/ids.js';
import { InvalidInput, NotFound, Unauthenticated, Unavailable } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { decodeCursor, encodeCursor } from '../platform/http/paging.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { closing } from './closing.js';
import { ChangedCellView, CompareRowsQuery, RowComparisonView } from './comparisons.dto.js';
import { NotATable, RowsNotComparable, TableUnreadable } from './table.problems.js';
import { TablesService, parseParameter } from './tables.service.js';
import { TableColumnView } from './tables.view.js';
import { parseColumns } from './where/column-list.js';

/** A page of two versions: branches may move between pages. */
type CompareCursor = [baseNumber: number, headNumber: number, offset: number];

/** What became of a table's rows. */
@ApiTags('tables')
@ApiExtraModels(ChangedCellView)
@Controller({ path: 'datasets/:datasetId' })
export class ComparisonsController {
  constructor(private readonly tables: TablesService) {}

  @Get('compare/rows')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'compareTableRows',
    summary: 'What became of a table’s rows',
    description:
      'Between two versions, by the columns that tell rows apart: rows added and removed, and the cells of those that changed. Values that have other types in either version are compared by what they mean: 1 is 1.0, and a number is the text of it. Further pages are of the versions that the first one compared. An analysis of kind `diff` makes a file of the same.',
  })
  @ApiOkResponse({ type: RowComparisonView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    NotFound,
    NotATable,
    TableUnreadable,
    RowsNotComparable,
    ContentPurged,
    FileDamaged,
    StorageFull,
    Unavailable,
  )
  async compare(
    @IdParam('datasetId') dataset: DatasetId,
    @Query() query: CompareRowsQuery,
    @Res() res: Response,
  ): Promise<void> {
    const { path, sheet, limit, cursor } = query;
    const from = cursor === undefined ? null : decodeCursor(cursor, isCompareCursor);
    const key = parseParameter('key', query.key, parseColumns);
    const [baseRef, headRef] = from ? [String(from[0]), String(from[1])] : [query.base, query.head];
    const base = await this.tables.find(dataset, baseRef, path, sheet);
    const head = await this.tables.find(dataset, headRef, path, sheet);
    const offset = from?.[2] ?? 0;
    const page = await this.tables.compare(base, head, { key, offset, limit }, closing(res));
    const { versionNumber: baseNumber } = base.version;
    const { versionNumber: headNumber } = head.version;
    const next = page.more ? encodeCursor([baseNumber, headNumber, offset + page.rowCount]) : null;
    const before = JSON.stringify({
      key: page.key,
      addedColumns: page.addedColumns.map(TableColumnView.of),
      removedColumns: page.removedColumns.map(TableColumnView.of),
      counts: page.counts,
    });
    res.setHeader('Content-Type', 'application/json');
    // The differences are JSON already, exact where numbers of JavaScript would not be.
    res.write(`${before.slice(0, -1)},"items":[`);
    res.write(page.body);
    res.end(`],"nextCursor":${JSON.stringify(next)}}`);
  }
}

function isCompareCursor(value: unknown): value is CompareCursor {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [base, head, offset] = value as unknown[];
  const isNumber = (number: unknown) => Number.isInteger(number) && Number(number) >= 1;
  return (
    [base, head].every((number) => isNumber(number) && Number(number) <= MAX_ID) &&
    isNumber(offset) &&
    Number.isSafeInteger(offset)
  );
}
