import { ApiProperty } from '@nestjs/swagger';
import { MAX_ID } from '../core/ids.js';
import type { ContentPlace } from './content-search/content-search.js';
import { MOST_RANGES } from './content-search/version-ranges.js';
import type { FoundDataset, SearchResult } from './dataset-search/dataset-search.js';
import { FIELDS, type Field } from './dataset-search/hits.js';
import { MOST_MATCHES } from './dataset-search/search-statement.js';
import type { Suggestion } from './suggestions.js';

export class MatchedFieldView {
  @ApiProperty({ enum: FIELDS, example: 'description' })
  field!: Field;

  @ApiProperty({
    type: [String],
    description:
      'Excerpts as HTML: `<mark>` around what matched, everything else escaped, so that it can be shown as it is.',
    example: ['Daily extent of the polar <mark>sea</mark> <mark>ice</mark> since 1978.'],
  })
  highlights!: string[];
}

export class SearchOwnerView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 2 })
  id!: number;

  @ApiProperty({ example: 'ada' })
  name!: string;
}

export class FoundDatasetView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 12 })
  id!: number;

  @ApiProperty({ example: 'sea-ice-extent' })
  name!: string;

  @ApiProperty({ example: 'Daily extent of the polar sea ice since 1978.' })
  description!: string;

  @ApiProperty({ type: [String], example: ['climate'] })
  tags!: string[];

  @ApiProperty({ type: SearchOwnerView })
  owner!: SearchOwnerView;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Of the head.', example: 3 })
  fileCount!: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Of the head.', example: 48_219 })
  totalSizeBytes!: number;

  @ApiProperty({ type: [String], description: 'Of the head.', example: ['csv', 'md'] })
  fileTypes!: string[];

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  updatedAt!: string;

  @ApiProperty({
    minimum: 0,
    maximum: 1,
    description: 'Compares the results of one search; 0 where they are ordered by something else.',
    example: 0.61,
  })
  relevanceScore!: number;

  @ApiProperty({ type: [MatchedFieldView] })
  matchedFields!: MatchedFieldView[];

  static of(this: void, { hit, score, matched }: FoundDataset): FoundDatasetView {
    return {
      id: hit.id,
      name: hit.name,
      description: hit.description,
      tags: [...hit.tags],
      owner: { id: hit.ownerId, name: hit.ownerName },
      fileCount: hit.fileCount,
      totalSizeBytes: hit.totalSizeBytes,
      fileTypes: [...hit.fileTypes],
      createdAt: hit.createdAt.toISOString(),
      updatedAt: hit.updatedAt.toISOString(),
      relevanceScore: score,
      matchedFields: matched.map(({ field, highlights }) => ({
        field,
        highlights: [...highlights],
      })),
    };
  }
}

export class FacetCountView {
  @ApiProperty({ example: 'climate' })
  value!: string;

  @ApiProperty({ type: 'integer', minimum: 1, example: 17 })
  count!: number;
}

export class FacetsView {
  @ApiProperty({ type: [FacetCountView] })
  tags!: FacetCountView[];

  @ApiProperty({ type: [FacetCountView] })
  fileTypes!: FacetCountView[];

  @ApiProperty({ type: [FacetCountView], description: 'By name.' })
  owners!: FacetCountView[];
}

const QUERY_TIME = {
  minimum: 0,
  description: 'How long finding took in the server, in milliseconds.',
  example: 8.3,
};

export class FoundDatasetsView {
  @ApiProperty({ type: [FoundDatasetView] })
  items!: FoundDatasetView[];

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Sent as `cursor` it asks for the next page; null at the end.',
    example: null,
  })
  nextCursor!: string | null;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    maximum: MOST_MATCHES,
    description: `How many datasets match, of those that you may read; counted up to ${MOST_MATCHES}.`,
    example: 42,
  })
  totalCount!: number;

  @ApiProperty({ description: 'False where there are more than `totalCount`.', example: true })
  totalCountIsExact!: boolean;

  @ApiProperty({
    type: FacetsView,
    description: 'The most frequent values among the matches that are counted.',
  })
  facets!: FacetsView;

  @ApiProperty(QUERY_TIME)
  queryTimeMs!: number;

  static of(
    this: void,
    result: SearchResult,
    nextCursor: string | null,
    queryTimeMs: number,
  ): FoundDatasetsView {
    const { tags, fileTypes, owners } = result.facets;
    return {
      items: result.datasets.map(FoundDatasetView.of),
      nextCursor,
      totalCount: result.total,
      totalCountIsExact: result.totalIsExact,
      facets: { tags: [...tags], fileTypes: [...fileTypes], owners: [...owners] },
      queryTimeMs,
    };
  }
}

export class SuggestionView {
  @ApiProperty({ enum: ['dataset', 'tag'], example: 'dataset' })
  kind!: 'dataset' | 'tag';

  @ApiProperty({ description: 'The name, or the tag.', example: 'sea-ice-extent' })
  text!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: 'Null for a tag.', example: 12 })
  datasetId!: number | null;

  @ApiProperty({
    minimum: 0,
    maximum: 1,
    description: '1 where it begins with what was typed, less where it is like it.',
    example: 1,
  })
  score!: number;
}

export class SuggestionsView {
  @ApiProperty({ type: [SuggestionView] })
  items!: SuggestionView[];

  @ApiProperty(QUERY_TIME)
  queryTimeMs!: number;

  static of(this: void, suggestions: readonly Suggestion[], queryTimeMs: number): SuggestionsView {
    return { items: [...suggestions], queryTimeMs };
  }
}

export class VersionNameView {
  @ApiProperty({ type: 'integer', minimum: 1, example: 3 })
  versionNumber!: number;

  @ApiProperty({ example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' })
  digest!: string;
}

export class VersionRangeView {
  @ApiProperty({ type: VersionNameView })
  first!: VersionNameView;

  @ApiProperty({ type: VersionNameView })
  last!: VersionNameView;
}

export class ContentDatasetView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 12 })
  id!: number;

  @ApiProperty({ example: 'sea-ice-extent' })
  name!: string;
}

export class ContentPlaceView {
  @ApiProperty({ type: ContentDatasetView })
  dataset!: ContentDatasetView;

  @ApiProperty({ example: 'data/2024.csv' })
  path!: string;

  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 7 })
  fileId!: number;

  @ApiProperty({
    type: [VersionRangeView],
    description:
      'All versions that have it there since a version put it there. Each range is a line of versions, every one the parent of the next; those of them that are kept have it.',
  })
  versions!: VersionRangeView[];

  @ApiProperty({
    description: `Whether there are more ranges than the ${MOST_RANGES} that are told.`,
    example: false,
  })
  hasMoreVersions!: boolean;

  static of(this: void, place: ContentPlace): ContentPlaceView {
    const { datasetId, datasetName, path, fileId, versions, hasMoreVersions } = place;
    return {
      dataset: { id: datasetId, name: datasetName },
      path,
      fileId,
      versions: [...versions],
      hasMoreVersions,
    };
  }
}
