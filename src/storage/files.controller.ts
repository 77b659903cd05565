import { Body, Controller, Delete, Get, HttpCode, Post, Query, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Response } from 'express';
import {
  DigestMismatch,
  LengthMismatch,
  StorageFull,
  UploadAborted,
} from '../core/contracts/artifact-producer.js';
import type { StagedUpload } from '../core/contracts/staged-upload.js';
import { QuotaExceeded } from '../core/contracts/storage-quotas.js';
import type { FileId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { InvalidInput, NotFound } from '../core/problems.js';
import { OnFile, SignedIn } from '../platform/http/access.decorators.js';
import { BodyTooLarge, UnsupportedMediaType } from '../platform/http/http-problems.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { ReceivesUpload, Upload } from '../platform/http/staged-upload.js';
import { CheckFilesBody, UploadQuery } from './files.dto.js';
import { FilesService } from './files.service.js';
import { FileView, ReusableFilesView, UploadedFilesView, UploadedFileView } from './files.view.js';
import { UnverifiableDigest } from './upload/content-digest.js';

const UPLOADED = {
  schema: {
    oneOf: [{ $ref: getSchemaPath(UploadedFileView) }, { $ref: getSchemaPath(UploadedFilesView) }],
  },
};

const FILE_FIELD = 'file';

@ApiTags('files')
@Controller({ path: 'files' })
export class FilesController {
  constructor(private readonly files: FilesService) {}

  @Post()
  @SignedIn()
  @ReceivesUpload('any')
  @ApiOperation({
    operationId: 'uploadFile',
    summary: 'Upload a file, or several in a form',
    description:
      'Any body is stored as it is, JSON too; only multipart/form-data is taken apart, and each of its `file` parts stored. The upload is kept for its uploader for a day, or until a version uses it.',
  })
  @ApiConsumes('application/octet-stream', 'multipart/form-data')
  @ApiBody({
    required: false,
    schema: {
      type: 'object',
      properties: { file: { type: 'array', items: { type: 'string', format: 'binary' } } },
    },
  })
  @ApiHeader({
    name: 'Content-Digest',
    required: false,
    description: 'The SHA-256 of the body (RFC 9530): any other body is refused.',
    schema: { type: 'string', example: 'sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:' },
  })
  @ApiExtraModels(UploadedFileView, UploadedFilesView)
  @ApiCreatedResponse({
    description: 'The upload; a list of them for a form with several files.',
    ...UPLOADED,
  })
  @ApiOkResponse({
    description: 'As 201, where all of it was stored already and the caller could read it.',
    ...UPLOADED,
  })
  @Problems(
    InvalidInput,
    DigestMismatch,
    LengthMismatch,
    UploadAborted,
    UnverifiableDigest,
    BodyTooLarge,
    UnsupportedMediaType,
    StorageFull,
    QuotaExceeded,
  )
  async upload(
    @CurrentPrincipal() principal: Principal,
    @Upload() upload: StagedUpload,
    @Query() _query: UploadQuery,
    @Res({ passthrough: true }) res: Response,
  ): Promise<UploadedFileView | UploadedFilesView> {
    refuseStrangers(upload);
    const items = await this.files.add(principal, upload.parts);
    if (items.every(({ deduplicated }) => deduplicated)) res.status(200);
    const [only, ...others] = items;
    if (!only || others.length > 0) return { items };
    res.location(`/api/v1/files/${only.id}`);
    return only;
  }

  @Get(':fileId')
  @OnFile('read')
  @ApiOperation({ operationId: 'getFile', summary: 'Tell what is known of a file' })
  @ApiOkResponse({ type: FileView })
  @Problems(InvalidInput, NotFound)
  get(
    @CurrentPrincipal() principal: Principal,
    @IdParam('fileId') fileId: FileId,
  ): Promise<FileView> {
    return this.files.get(principal, fileId);
  }

  @Delete(':fileId')
  @SignedIn()
  @HttpCode(204)
  @ApiOperation({
    operationId: 'releaseFile',
    summary: "Give the caller's own upload back",
    description:
      'The content stays for as long as a version or another upload needs it, and goes after that.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, NotFound)
  async release(
    @CurrentPrincipal() principal: Principal,
    @IdParam('fileId') fileId: FileId,
  ): Promise<void> {
    await this.files.release(principal, fileId);
  }

  @Post('check')
  @SignedIn({ scope: 'read' })
  @HttpCode(200)
  @ApiOperation({
    operationId: 'checkFiles',
    summary: 'Tell which contents the caller may reuse without sending them',
    description:
      'Only contents that the caller may read are told of; all others are as if they were not there.',
  })
  @ApiOkResponse({ type: ReusableFilesView })
  @Problems(InvalidInput)
  async check(
    @CurrentPrincipal() principal: Principal,
    @Body() body: CheckFilesBody,
  ): Promise<ReusableFilesView> {
    return { items: await this.files.reusable(principal, body.sha256) };
  }
}

/** A form for this operation has `file` parts and nothing else: what is not understood is refused. */
function refuseStrangers({ parts, fields }: StagedUpload): void {
  const strangers = [...fields.keys(), ...parts.flatMap(({ field }) => field ?? [])].filter(
    (field) => field !== FILE_FIELD || fields.has(field),
  );
  if (strangers.length > 0) {
    throw new InvalidInput(
      `The form takes files in ${FILE_FIELD} and nothing else.`,
      strangers.map((at) => ({ at, message: `is not a file in ${FILE_FIELD}` })),
    );
  }
  if (parts.length === 0) {
    throw new InvalidInput(`The form has no file in ${FILE_FIELD}.`, [
      { at: FILE_FIELD, message: 'is missing' },
    ]);
  }
}
