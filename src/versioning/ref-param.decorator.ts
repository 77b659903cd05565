import { ApiParam } from '@nestjs/swagger';
import { MAX_REF_LENGTH } from './versions.dto.js';

/** Documents the segment of a URL that names a version. */
export const RefParam = () =>
  ApiParam({
    name: 'ref',
    description:
      'A branch, a tag, a version number or a digest, URL-encoded; `~n` after it is the n-th first parent.',
    schema: { type: 'string', minLength: 1, maxLength: MAX_REF_LENGTH },
    example: 'main',
  });
