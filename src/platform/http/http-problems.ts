import { Problem } from '../../core/problems.js';

/** The body is larger than this operation takes. */
export class BodyTooLarge extends Problem {
  static override readonly kind = { code: 'body-too-large', status: 413, title: 'Body too large' };
}

/** The body is of a media type that this operation does not take. */
export class UnsupportedMediaType extends Problem {
  static override readonly kind = {
    code: 'unsupported-media-type',
    status: 415,
    title: 'Unsupported media type',
  };
}

/** The Idempotency-Key was used before, for something else. */
export class IdempotencyKeyReused extends Problem {
  static override readonly kind = {
    code: 'idempotency-key-reused',
    status: 422,
    title: 'Idempotency key reused',
  };
}
