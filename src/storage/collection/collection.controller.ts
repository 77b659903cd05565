import { Body, Controller, Post, Query, Res } from '@nestjs/common';
import { ApiExtraModels, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import type { Principal } from '../../core/principal.js';
import { Forbidden, InvalidInput, Unauthenticated } from '../../core/problems.js';
import { AdminOnly } from '../../platform/http/access.decorators.js';
import { decodeCursor, PageQuery, toPage } from '../../platform/http/paging.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { AcceptsJob } from '../../platform/jobs/accepted.decorator.js';
import type { JobView } from '../../platform/jobs/job.view.js';
import { JobsService } from '../../platform/jobs/jobs.service.js';
import { CollectGarbageDto, GarbagePage, GarbageView } from './collection.dto.js';
import { CollectionPreview, isPreviewCursor } from './collection-preview.js';
import { CollectionService } from './collection.service.js';

@ApiTags('administration')
@Controller({ path: 'admin/gc' })
export class CollectionController {
  constructor(
    private readonly collection: CollectionService,
    private readonly preview: CollectionPreview,
    private readonly jobs: JobsService,
  ) {}

  @Post()
  @AdminOnly()
  @AcceptsJob()
  @ApiOperation({
    operationId: 'collectGarbage',
    summary: 'Collect garbage',
    description:
      'Deletes files that nothing has referenced for the grace period, and objects that no file ' +
      'names, as a job. A dry run deletes nothing and names them, a page at a time.',
  })
  @ApiExtraModels(GarbagePage)
  @ApiOkResponse({ type: GarbagePage, description: 'A dry run: what would be deleted now.' })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async collect(
    @CurrentPrincipal() principal: Principal,
    @Body() { dryRun }: CollectGarbageDto,
    @Query() page: PageQuery,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView | GarbagePage> {
    if (!dryRun) {
      return this.jobs.accepted(res, principal, await this.collection.start(principal.userId));
    }
    res.status(200);
    return this.tell(page, res);
  }

  private async tell({ limit, cursor }: PageQuery, res: Response): Promise<GarbagePage> {
    const after = cursor === undefined ? null : decodeCursor(cursor, isPreviewCursor);
    if (after === null) await this.preview.refresh(goneSignal(res));
    const candidates = await this.preview.page(after, limit + 1);
    return {
      ...toPage(
        candidates,
        limit,
        (last) => last.cursor,
        ({ candidate }) => GarbageView.of(candidate),
      ),
      totals: after === null ? await this.preview.totals() : null,
    };
  }
}

/** Aborted once the client has gone: nobody waits for the answer any more. */
function goneSignal(res: Response): AbortSignal {
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  return gone.signal;
}
