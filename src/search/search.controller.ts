import { Controller, Get, Param, Post, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { isSha256, type Sha256 } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, Unauthenticated } from '../core/problems.js';
import { AdminOnly, SignedIn } from '../platform/http/access.decorators.js';
import {
  decodeCursor,
  encodeCursor,
  PageQuery,
  pageOf,
  type Page,
} from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { AcceptsJob } from '../platform/jobs/accepted.decorator.js';
import type { JobView } from '../platform/jobs/job.view.js';
import { JobsService } from '../platform/jobs/jobs.service.js';
import { ContentSearch, isPlaceCursor } from './content-search/content-search.js';
import { DatasetSearch } from './dataset-search/dataset-search.js';
import { isCursorOf } from './dataset-search/search-filter.js';
import { SearchDatasetsQuery, SuggestQuery } from './search.dto.js';
import { ContentPlaceView, FoundDatasetsView, SuggestionsView } from './search.view.js';
import { Suggestions } from './suggestions.js';
import { SearchUpkeep } from './upkeep/upkeep.js';

const sha256Rule = {
  transform(text: string): Sha256 {
    if (isSha256(text)) return text;
    const message = 'takes a SHA-256 as 64 hexadecimal digits in lower case';
    throw new InvalidInput(`sha256 ${message}.`, [{ at: 'sha256', message }]);
  },
};

/** Milliseconds since a moment, to the hundredth. */
const since = (started: number): number => Math.round((performance.now() - started) * 100) / 100;

@ApiTags('search')
@Controller({ path: 'search' })
export class SearchController {
  constructor(
    private readonly datasets: DatasetSearch,
    private readonly suggestions: Suggestions,
    private readonly contents: ContentSearch,
  ) {}

  @Get('datasets')
  @SignedIn()
  @ApiOperation({
    operationId: 'searchDatasets',
    summary: 'Search datasets',
    description:
      'Of those that you may read; counts and facets, too, are of these alone. What a commit or another change brings is found a moment later.',
  })
  @ApiOkResponse({ type: FoundDatasetsView })
  @Problems(InvalidInput, Unauthenticated)
  async searchDatasets(
    @CurrentPrincipal() principal: Principal,
    @Query() query: SearchDatasetsQuery,
  ): Promise<FoundDatasetsView> {
    const started = performance.now();
    const { q, limit, cursor, ...filter } = query;
    const words = q?.trim() || undefined;
    // By nothing but relevance there is no order where no words are looked for.
    const sort = words === undefined && query.sort === 'relevance' ? '-updatedAt' : query.sort;
    const after = cursor === undefined ? null : decodeCursor(cursor, isCursorOf(sort));
    const page = { sort, after, limit: limit + 1 };
    const result = await this.datasets.search(principal, words, filter, page);
    const next = result.next && encodeCursor(result.next);
    return FoundDatasetsView.of(result, next, since(started));
  }

  @Get('suggest')
  @SignedIn()
  @ApiOperation({
    operationId: 'suggest',
    summary: 'Suggest datasets and tags',
    description: 'For what was typed so far: names and tags of datasets that you may read.',
  })
  @ApiOkResponse({ type: SuggestionsView })
  @Problems(InvalidInput, Unauthenticated)
  async suggest(
    @CurrentPrincipal() principal: Principal,
    @Query() { q, limit }: SuggestQuery,
  ): Promise<SuggestionsView> {
    const started = performance.now();
    const suggestions = await this.suggestions.suggest(principal, q, limit);
    return SuggestionsView.of(suggestions, since(started));
  }

  @Get('files/:sha256')
  @SignedIn()
  @ApiParam({
    name: 'sha256',
    schema: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  })
  @ApiOperation({
    operationId: 'searchContent',
    summary: 'Find a content by its SHA-256',
    description:
      'In all versions of all datasets that you may read: where a version put it, and which versions have had it there since. A content that only others have is answered as one that nobody has: with nothing. A page may have fewer places than its limit, and still be followed by another.',
  })
  @ApiOkResponse({ type: pageOf(ContentPlaceView) })
  @Problems(InvalidInput, Unauthenticated)
  async searchContent(
    @CurrentPrincipal() principal: Principal,
    @Param('sha256', sha256Rule) sha256: Sha256,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<ContentPlaceView>> {
    const after = cursor === undefined ? null : decodeCursor(cursor, isPlaceCursor);
    const { places, next } = await this.contents.find(principal, sha256, { after, limit });
    return { items: places.map(ContentPlaceView.of), nextCursor: next && encodeCursor(next) };
  }
}

@ApiTags('administration')
@Controller({ path: 'admin/search' })
export class SearchAdminController {
  constructor(
    private readonly upkeep: SearchUpkeep,
    private readonly jobs: JobsService,
  ) {}

  @Post('rebuild')
  @AdminOnly()
  @AcceptsJob()
  @ApiOperation({
    operationId: 'rebuildSearchIndex',
    summary: 'Make the search index anew',
    description: 'From all datasets, as a job. Searching and changing datasets go on meanwhile.',
  })
  @Problems(Unauthenticated, Forbidden)
  async rebuild(
    @CurrentPrincipal() principal: Principal,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView> {
    const job = await this.upkeep.startRebuild(principal.userId);
    return this.jobs.accepted(res, principal, job);
  }
}
