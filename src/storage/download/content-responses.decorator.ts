import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiProduces, ApiResponse } from '@nestjs/swagger';

const text = (description: string, example: string) => ({
  description,
  schema: { type: 'string' as const, example },
});

const ETAG = text(
  'The SHA-256 of the whole content.',
  '"sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"',
);

const CONTENT_HEADERS = {
  ETag: ETAG,
  'Repr-Digest': text(
    'The SHA-256 of the whole content (RFC 9530).',
    'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
  ),
  'Accept-Ranges': text('Ranges of bytes can be asked for.', 'bytes'),
  'Content-Disposition': text('Offers a name; never inline.', 'attachment; filename=cars.csv'),
};

const REQUEST_HEADERS: [name: string, description: string][] = [
  ['Range', 'One range of bytes; several at once are answered with the whole content.'],
  ['If-Range', 'An ETag: the range is sent only of this content, else the whole.'],
  ['If-None-Match', 'ETags that the caller has already: 304 when this is one of them.'],
  ['If-Match', 'ETags, one of which this content must have.'],
];

/** Documents an operation that a `ContentResponder` answers, as far as it is no problem. */
export function ContentResponses(method: 'GET' | 'HEAD'): MethodDecorator {
  const get = method === 'GET';
  return applyDecorators(
    ...REQUEST_HEADERS.filter(([name]) => get || !name.includes('Range')).map(
      ([name, description]) =>
        ApiHeader({ name, description, required: false, schema: { type: 'string' } }),
    ),
    ...(get
      ? [
          ApiProduces('application/octet-stream'),
          ApiResponse({
            status: 200,
            description: 'The whole content.',
            headers: CONTENT_HEADERS,
            schema: {},
          }),
          ApiResponse({
            status: 206,
            description: 'The range that was asked for.',
            headers: {
              ...CONTENT_HEADERS,
              'Content-Range': text('Which bytes of how many.', 'bytes 0-65535/1048576'),
            },
            schema: {},
          }),
        ]
      : [
          ApiResponse({
            status: 200,
            description: 'What a GET would say, without the content.',
            headers: CONTENT_HEADERS,
          }),
        ]),
    ApiResponse({
      status: 304,
      description: 'The caller has this content already.',
      headers: { ETag: ETAG },
    }),
  );
}
