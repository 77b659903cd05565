import { Controller, Get, Head, Inject, Req, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import {
  CONTENT_RESPONDER,
  FileDamaged,
  type ContentResponder,
} from '../../core/contracts/file-catalog.js';
import type { FileId } from '../../core/ids.js';
import { InvalidInput, NotFound, Unauthenticated } from '../../core/problems.js';
import { OnFile } from '../../platform/http/access.decorators.js';
import { IdParam } from '../../platform/http/id-param.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { ContentResponses } from './content-responses.decorator.js';
import { PreconditionFailed, RangeNotSatisfiable } from './problems.js';

/** A file's bytes. Its id never stands for other ones, so they are cacheable for ever. */
@ApiTags('files')
@Controller({ path: 'files' })
export class ContentController {
  constructor(@Inject(CONTENT_RESPONDER) private readonly responder: ContentResponder) {}

  // Before GET, which would answer a HEAD as well and leave it undescribed.
  @Head(':fileId/content')
  @OnFile('read')
  @ApiOperation({ operationId: 'headFileContent', summary: "Look at a file's content" })
  @ContentResponses('HEAD')
  @Problems(InvalidInput, Unauthenticated, NotFound, FileDamaged, PreconditionFailed)
  head(@IdParam('fileId') file: FileId, @Req() req: Request, @Res() res: Response): Promise<void> {
    return this.send(req, res, file);
  }

  @Get(':fileId/content')
  @OnFile('read')
  @ApiOperation({
    operationId: 'getFileContent',
    summary: "Download a file's content",
    description: 'Always as an attachment: what somebody uploaded never runs in this origin.',
  })
  @ContentResponses('GET')
  @Problems(
    InvalidInput,
    Unauthenticated,
    NotFound,
    FileDamaged,
    PreconditionFailed,
    RangeNotSatisfiable,
  )
  get(@IdParam('fileId') file: FileId, @Req() req: Request, @Res() res: Response): Promise<void> {
    return this.send(req, res, file);
  }

  private send(req: Request, res: Response, file: FileId): Promise<void> {
    return this.responder.respond(req, res, file, { downloadName: null, immutable: true });
  }
}
