import { Controller, Get, Head, Inject, Param, Query, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import { create as contentDisposition } from 'content-disposition';
import type { Request, Response } from 'express';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  CONTENT_RESPONDER,
  FileDamaged,
  type ContentResponder,
} from '../core/contracts/file-catalog.js';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { ContentPurged } from '../core/contracts/versions.js';
import type { DatasetId } from '../core/ids.js';
import { InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { tar } from './archive/tar.js';
import { zip } from './archive/zip.js';
import { isImmutable, parseRef } from './graph/ref.js';
import { RefParam } from './ref-param.decorator.js';
import { VersionContents } from './version-contents.js';
import { VersionRemoved } from './versioning.problems.js';
import { ArchiveQuery, PathQuery } from './versions.dto.js';

const ARCHIVE_TYPE = { tar: 'application/x-tar', zip: 'application/zip' } as const;

/** The bytes of a version: one path's, or all of them in an archive. */
@ApiTags('refs')
@Controller({ path: 'datasets/:datasetId/refs/:ref' })
export class RefContentsController {
  constructor(
    private readonly contents: VersionContents,
    @Inject(CONTENT_RESPONDER) private readonly responder: ContentResponder,
    @Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  // Before GET, which would answer a HEAD as well and leave it undescribed.
  @Head('content')
  @OnDataset('read')
  @RefParam()
  @ApiOperation({ operationId: 'headVersionContent', summary: 'Look at the content at a path' })
  @ApiResponse({ status: 200, description: 'What a GET would say, without the content.' })
  @ApiResponse({ status: 304, description: 'The caller has this content already.' })
  @Problems(InvalidInput, Unauthenticated, NotFound, VersionRemoved, ContentPurged, FileDamaged)
  head(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() { path }: PathQuery,
    @Req() req: Request,
    @Res() res: Response,
  ): Promise<void> {
    return this.#send(req, res, dataset, ref, path);
  }

  @Get('content')
  @OnDataset('read')
  @RefParam()
  @ApiOperation({
    operationId: 'getVersionContent',
    summary: 'Download the content at a path',
    description:
      'With ranges and conditions, always as an attachment; cacheable for ever where the ref is a number or a digest.',
  })
  @ApiHeader({
    name: 'Range',
    required: false,
    schema: { type: 'string' },
    example: 'bytes=0-1023',
  })
  @ApiHeader({ name: 'If-Range', required: false, schema: { type: 'string' } })
  @ApiHeader({ name: 'If-None-Match', required: false, schema: { type: 'string' } })
  @ApiHeader({ name: 'If-Match', required: false, schema: { type: 'string' } })
  @ApiProduces('application/octet-stream')
  @ApiResponse({ status: 200, description: 'The whole content.', schema: {} })
  @ApiResponse({ status: 206, description: 'The range that was asked for.', schema: {} })
  @ApiResponse({ status: 304, description: 'The caller has this content already.' })
  @Problems(InvalidInput, Unauthenticated, NotFound, VersionRemoved, ContentPurged, FileDamaged)
  content(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() { path }: PathQuery,
    @Req() req: Request,
    @Res() res: Response,
  ): Promise<void> {
    return this.#send(req, res, dataset, ref, path);
  }

  @Get('archive')
  @OnDataset('read')
  @RefParam()
  @ApiOperation({
    operationId: 'getVersionArchive',
    summary: 'Download a version as an archive',
    description:
      'Made while it is sent. An archive that cannot be made whole breaks off and never ends well. Purged contents are left out; the last file, `PURGED.json`, names them.',
  })
  @ApiProduces('application/x-tar', 'application/zip')
  @ApiResponse({ status: 200, description: 'The archive.', schema: {} })
  @Problems(InvalidInput, Unauthenticated, NotFound, VersionRemoved)
  async archive(
    @IdParam('datasetId') dataset: DatasetId,
    @Param('ref') ref: string,
    @Query() { format, prefix = '' }: ArchiveQuery,
    @Res() res: Response,
  ): Promise<void> {
    const located = await this.contents.locate(dataset, ref);
    const { name } = await this.unitOfWork.read((tx) => this.datasets.get(tx, dataset));
    const entries = this.contents.archiveEntries(located, prefix);
    const [label, modifiedAt] =
      located.kind === 'version'
        ? [located.version.versionNumber, located.version.committedAt]
        : [`draft-${located.id}`, located.touchedAt];
    res.setHeader('Content-Type', ARCHIVE_TYPE[format]);
    res.setHeader(
      'Content-Disposition',
      contentDisposition(`${name.replace(/[\\/]/g, '-')}-${label}.${format}`),
    );
    res.setHeader('X-Content-Type-Options', 'nosniff');
    const archive = (format === 'tar' ? tar : zip)(entries, modifiedAt);
    await pipeline(Readable.from(archive, { objectMode: false }), res);
  }

  async #send(
    req: Request,
    res: Response,
    dataset: DatasetId,
    ref: string,
    path: string,
  ): Promise<void> {
    const entry = await this.contents.entry(dataset, ref, path);
    await this.responder.respond(req, res, entry.fileId, {
      downloadName: path.slice(path.lastIndexOf('/') + 1),
      immutable: isImmutable(parseRef(ref)),
    });
  }
}
