import { Module } from '@nestjs/common';
import { ContentSearch } from './content-search/content-search.js';
import { DatasetSearch } from './dataset-search/dataset-search.js';
import { SearchAdminController, SearchController } from './search.controller.js';
import { Suggestions } from './suggestions.js';
import { Stemmer } from './text/stemmer.js';
import { Indexer } from './upkeep/indexer.js';
import { Rebuild } from './upkeep/rebuild.js';
import { SearchUpkeep } from './upkeep/upkeep.js';
import { VersionSampler } from './upkeep/version-sample.js';

/** Finding datasets by words and contents by their digest, and keeping the index that this takes. */
@Module({
  controllers: [SearchController, SearchAdminController],
  providers: [
    ContentSearch,
    DatasetSearch,
    Indexer,
    Rebuild,
    SearchUpkeep,
    Stemmer,
    Suggestions,
    VersionSampler,
  ],
})
export class SearchModule {}
