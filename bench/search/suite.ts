import type { Suite } from '../harness/suite.js';
import { byHash } from './by-hash.js';
import { pages, sizes, suggestions } from './searches.js';

export const suite: Suite = {
  name: 'search',
  title: 'Searching',
  remarks: [
    'A ratio with a `≤` is one of times: less is better.',
    'The index is filled by SQL with made-up words as frequent as words are, in texts of sixty; the indexes are those that the server makes. Nobody else uses the machine, and everything that is read lies in the page cache.',
    'The bare queries run on one connection without HTTP, access, highlights, counts or facets. They search a table as somebody would make it by hand, with an index for each column; beside them stands, without a target, the same in the one index that Varve has for words and tags.',
  ],
  measurements: [pages, suggestions, sizes, byHash],
};
