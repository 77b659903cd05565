import { Problem } from '../../core/problems.js';

/** The content is not the one that `If-Match` asks for. */
export class PreconditionFailed extends Problem {
  static override readonly kind = {
    code: 'precondition-failed',
    status: 412,
    title: 'Precondition failed',
  };

  constructor(etag: string) {
    super(`If-Match names other content; this one's ETag is ${etag}.`, {}, { ETag: etag });
  }
}

/** The range begins behind the content's end. */
export class RangeNotSatisfiable extends Problem {
  static override readonly kind = {
    code: 'range-not-satisfiable',
    status: 416,
    title: 'Range not satisfiable',
  };

  constructor(sizeBytes: number) {
    super(
      `The content has ${sizeBytes} bytes, and none in that range.`,
      { sizeBytes },
      { 'Content-Range': `bytes */${sizeBytes}`, 'Accept-Ranges': 'bytes' },
    );
  }
}
