import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Res,
} from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiNoContentResponse,
  ApiNotModifiedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Response } from 'express';
import type { StagedUpload } from '../core/contracts/staged-upload.js';
import { QuotaExceeded } from '../core/contracts/storage-quotas.js';
import type { DatasetId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset, SignedIn } from '../platform/http/access.decorators.js';
import { BodyTooLarge, UnsupportedMediaType } from '../platform/http/http-problems.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { IdempotencyKeyHeader } from '../platform/http/idempotency.js';
import { decodeCursor, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { ReceivesUpload, Upload } from '../platform/http/staged-upload.js';
import { DatasetBody, messageOfForm } from './dataset-form.js';
import { cursorAfter, isCursorOf } from './dataset-list.js';
import { MAX_TAG_LENGTH, tagRule } from './dataset-rules.js';
import {
  DatasetChanged,
  DatasetForgotten,
  DatasetNameTaken,
  TooManyTags,
} from './dataset.problems.js';
import { DatasetStatisticsView, DatasetView } from './dataset.view.js';
import {
  ByNameQuery,
  ChangeDatasetDto,
  CreateDatasetDto,
  CreateDatasetForm,
  ListDatasetsQuery,
  StatisticsQuery,
} from './datasets.dto.js';
import type { DatasetDetails } from './datasets.repository.js';
import { DatasetsService } from './datasets.service.js';
import { etagOf, isKnown, parseIfMatch } from './etag.js';

const ETAG = {
  ETag: { description: 'Names this state of the dataset.', schema: { type: 'string' as const } },
};
const LOCATION = {
  Location: { description: 'Where the dataset is.', schema: { type: 'string' as const } },
};

const IfMatchHeader = () =>
  ApiHeader({
    name: 'If-Match',
    required: false,
    description: 'The ETag that you read; 412 when the dataset has changed since.',
    schema: { type: 'string' },
    example: '"1772366400000000"',
  });

const TagParam = () =>
  ApiParam({
    name: 'tag',
    schema: { type: 'string', minLength: 1, maxLength: MAX_TAG_LENGTH },
    example: 'climate',
  });

/** Answers with a dataset and the entity tag of its state. */
export function answerWith(res: Response, dataset: DatasetDetails): DatasetView {
  res.setHeader('ETag', etagOf(dataset));
  return DatasetView.of(dataset);
}

/** Answers with a dataset that has just been made. */
export function answerCreated(res: Response, dataset: DatasetDetails): DatasetView {
  res.setHeader('Location', `/api/v1/datasets/${dataset.id}`);
  return answerWith(res, dataset);
}

@ApiTags('datasets')
@Controller({ path: 'datasets' })
export class DatasetsController {
  constructor(private readonly datasets: DatasetsService) {}

  @Post()
  @SignedIn()
  @ReceivesUpload('multipart')
  @ApiOperation({
    operationId: 'createDataset',
    summary: 'Create a dataset',
    description:
      'Yours, and empty; or, sent as a form with files, with these files as version 1. Either all of it is created or nothing.',
  })
  @IdempotencyKeyHeader()
  @ApiConsumes('application/json', 'multipart/form-data')
  @ApiExtraModels(CreateDatasetDto, CreateDatasetForm)
  @ApiBody({
    schema: {
      anyOf: [
        { $ref: getSchemaPath(CreateDatasetDto) },
        { $ref: getSchemaPath(CreateDatasetForm) },
      ],
    },
  })
  @ApiCreatedResponse({ type: DatasetView, headers: { ...LOCATION, ...ETAG } })
  @Problems(
    InvalidInput,
    Unauthenticated,
    DatasetNameTaken,
    BodyTooLarge,
    UnsupportedMediaType,
    QuotaExceeded,
  )
  async create(
    @CurrentPrincipal() principal: Principal,
    @DatasetBody() body: CreateDatasetDto,
    @Upload() { parts, fields }: StagedUpload,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DatasetView> {
    const files = { parts, message: messageOfForm(fields) };
    return answerCreated(res, await this.datasets.create(principal, body.toNewDataset(), files));
  }

  @Get()
  @SignedIn()
  @ApiOperation({
    operationId: 'listDatasets',
    summary: 'List datasets',
    description: 'Those that you may read. Filters that are combined must all be met.',
  })
  @ApiOkResponse({ type: pageOf(DatasetView) })
  @Problems(InvalidInput, Unauthenticated)
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query() query: ListDatasetsQuery,
  ): Promise<Page<DatasetView>> {
    const { limit, cursor, sort } = query;
    const after = cursor === undefined ? null : decodeCursor(cursor, isCursorOf(sort));
    const rows = await this.datasets.list(principal, query, { after, limit: limit + 1 });
    return toPage(rows, limit, (last) => cursorAfter(sort, last), DatasetView.of);
  }

  @Get('by-name')
  @SignedIn()
  @ApiOperation({ operationId: 'getDatasetByName', summary: 'Get a dataset by its name' })
  @ApiOkResponse({ type: DatasetView, headers: ETAG })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async getByName(
    @CurrentPrincipal() principal: Principal,
    @Query() { name, owner }: ByNameQuery,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DatasetView> {
    return answerWith(
      res,
      await this.datasets.getByName(principal, name, owner ?? principal.userId),
    );
  }

  @Get(':datasetId')
  @OnDataset('read')
  @ApiOperation({ operationId: 'getDataset', summary: 'Get a dataset' })
  @ApiHeader({
    name: 'If-None-Match',
    required: false,
    description: 'The ETag that you have; 304 when the dataset is still in that state.',
    schema: { type: 'string' },
  })
  @ApiOkResponse({ type: DatasetView, headers: ETAG })
  @ApiNotModifiedResponse({ description: 'You have this state of the dataset already.' })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async get(
    @IdParam('datasetId') id: DatasetId,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DatasetView> {
    const dataset = await this.datasets.get(id);
    // Express leaves the body out of a 304.
    if (isKnown(ifNoneMatch, dataset)) res.status(304);
    return answerWith(res, dataset);
  }

  @Patch(':datasetId')
  @OnDataset('write')
  @ApiOperation({
    operationId: 'changeDataset',
    summary: 'Change what describes a dataset',
    description: 'What is left out stays as it is. Metadata is replaced as a whole.',
  })
  @IfMatchHeader()
  @ApiOkResponse({ type: DatasetView, headers: ETAG })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, DatasetNameTaken, DatasetChanged)
  async change(
    @IdParam('datasetId') id: DatasetId,
    @Body() body: ChangeDatasetDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DatasetView> {
    return answerWith(res, await this.datasets.change(id, body, parseIfMatch(ifMatch)));
  }

  @Delete(':datasetId')
  @OnDataset('admin')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'deleteDataset',
    summary: 'Delete a dataset',
    description:
      'It is hidden at once, and its name is free again. It can be restored, with all that it held, until the retention time has passed.',
  })
  @IfMatchHeader()
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, DatasetChanged)
  async remove(
    @IdParam('datasetId') id: DatasetId,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<void> {
    await this.datasets.remove(id, parseIfMatch(ifMatch));
  }

  @Post(':datasetId/restore')
  @OnDataset('admin', { includeDeleted: true })
  @HttpCode(200)
  @ApiOperation({
    operationId: 'restoreDataset',
    summary: 'Restore a deleted dataset',
    description: 'One that is not deleted stays as it is.',
  })
  @IdempotencyKeyHeader()
  @ApiOkResponse({ type: DatasetView, headers: ETAG })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, DatasetNameTaken, DatasetForgotten)
  async restore(
    @IdParam('datasetId') id: DatasetId,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DatasetView> {
    return answerWith(res, await this.datasets.restore(id));
  }

  @Put(':datasetId/tags/:tag')
  @OnDataset('write')
  @ApiOperation({
    operationId: 'addDatasetTag',
    summary: 'File a dataset under a tag',
    description: 'Where it has the tag already, nothing changes.',
  })
  @TagParam()
  @ApiOkResponse({ type: DatasetView, headers: ETAG })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, TooManyTags)
  async addTag(
    @IdParam('datasetId') id: DatasetId,
    @Param('tag', tagRule) tag: string,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DatasetView> {
    return answerWith(res, await this.datasets.addTag(id, tag));
  }

  @Delete(':datasetId/tags/:tag')
  @OnDataset('write')
  @HttpCode(204)
  @ApiOperation({
    operationId: 'removeDatasetTag',
    summary: 'Take a tag off a dataset',
    description: 'Where it has no such tag, nothing changes.',
  })
  @TagParam()
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async removeTag(
    @IdParam('datasetId') id: DatasetId,
    @Param('tag', tagRule) tag: string,
  ): Promise<void> {
    await this.datasets.removeTag(id, tag);
  }

  @Get(':datasetId/statistics')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'getDatasetStatistics',
    summary: 'Get what a dataset holds, in numbers',
    description: 'Of the head of its default branch and all its versions, or of one version.',
  })
  @ApiOkResponse({ type: DatasetStatisticsView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async statistics(
    @IdParam('datasetId') id: DatasetId,
    @Query() { ref }: StatisticsQuery,
  ): Promise<DatasetStatisticsView> {
    return DatasetStatisticsView.of(await this.datasets.statistics(id, ref ?? null));
  }
}
