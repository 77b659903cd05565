import { Controller, Get, Inject, Post, Query, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { create as contentDisposition } from 'content-disposition';
import type { Response } from 'express';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { StagedUpload } from '../core/contracts/staged-upload.js';
import { QuotaExceeded } from '../core/contracts/storage-quotas.js';
import type { DatasetId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { OnDataset, SignedIn } from '../platform/http/access.decorators.js';
import { BodyTooLarge } from '../platform/http/http-problems.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { IdempotencyKeyHeader } from '../platform/http/idempotency.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { ReceivesUpload, Upload } from '../platform/http/staged-upload.js';
import { DatasetDocumentView } from './dataset-document.view.js';
import { DatasetExport } from './dataset-export.js';
import { DatasetImport } from './dataset-import.js';
import { ContentsMissing, DatasetNameTaken } from './dataset.problems.js';
import { DatasetView } from './dataset.view.js';
import { answerCreated } from './datasets.controller.js';
import { ExportQuery, ImportQuery } from './datasets.dto.js';
import { DatasetsService } from './datasets.service.js';

@ApiTags('datasets')
@Controller({ path: 'datasets' })
export class DatasetTransferController {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly datasets: DatasetsService,
    private readonly exporting: DatasetExport,
    private readonly importing: DatasetImport,
  ) {}

  @Get(':datasetId/export')
  @OnDataset('read')
  @ApiOperation({
    operationId: 'exportDataset',
    summary: 'Export a dataset’s description and history',
    description:
      'A JSON document that `POST /datasets/import` reads: with versions, what each of them changed, contents by their SHA-256. The contents themselves are not in it.',
  })
  @ApiOkResponse({ type: DatasetDocumentView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async export(
    @IdParam('datasetId') id: DatasetId,
    @Query() { versions }: ExportQuery,
    @Res() res: Response,
  ): Promise<void> {
    const dataset = await this.datasets.get(id);
    res.setHeader('Content-Type', 'application/json; charset=utf-8');
    const fileName = `${dataset.name.replace(/[\\/]/g, '-')}.json`;
    res.setHeader('Content-Disposition', contentDisposition(fileName));
    res.setHeader('X-Content-Type-Options', 'nosniff');
    await pipeline(Readable.from(this.exporting.document(dataset, versions)), res);
  }

  @Post('import')
  @SignedIn()
  @ReceivesUpload('any')
  @ApiOperation({
    operationId: 'importDataset',
    summary: 'Import an exported dataset',
    description:
      'Makes a dataset of yours of the document, and commits its versions anew, in order, as yours. You must be able to read the contents that they refer to; otherwise the answer names those that are missing, and nothing is created.',
  })
  @IdempotencyKeyHeader()
  @ApiConsumes('application/json')
  @ApiBody({ type: DatasetDocumentView })
  @ApiCreatedResponse({ type: DatasetView })
  @Problems(
    InvalidInput,
    Unauthenticated,
    DatasetNameTaken,
    BodyTooLarge,
    ContentsMissing,
    QuotaExceeded,
  )
  async import(
    @CurrentPrincipal() principal: Principal,
    @Query() { name }: ImportQuery,
    @Upload() { parts }: StagedUpload,
    @Res({ passthrough: true }) res: Response,
  ): Promise<DatasetView> {
    const [document, ...more] = parts;
    if (!document || more.length > 0) {
      throw new InvalidInput('Send one exported document as the body.');
    }
    const { stagedKey, sizeBytes } = document.artifact;
    const limit = this.config.IMPORT_LIMIT_BYTES;
    if (sizeBytes > limit) {
      throw new BodyTooLarge(
        `The document has ${sizeBytes} bytes; an import takes ${limit} at the most (IMPORT_LIMIT_BYTES).`,
      );
    }
    return answerCreated(res, await this.importing.import(principal, stagedKey, name));
  }
}
