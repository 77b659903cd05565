import type { Sha256 } from '../core/ids.js';
import { Problem } from '../core/problems.js';

/** Another living dataset of the same owner has the name. */
export class DatasetNameTaken extends Problem {
  static override readonly kind = {
    code: 'dataset-name-taken',
    status: 409,
    title: 'Dataset name taken',
  };

  constructor(name: string) {
    super(
      `The owner has another dataset named ${JSON.stringify(name)}; choose another name, or rename or delete that one.`,
      { name },
    );
  }
}

/** The dataset was deleted so long ago that its content has been let go. */
export class DatasetForgotten extends Problem {
  static override readonly kind = {
    code: 'dataset-forgotten',
    status: 409,
    title: 'Dataset forgotten',
  };

  constructor(deletedAt: Date) {
    super(
      `The dataset was deleted at ${deletedAt.toISOString()} and its content has been let go since; import an export of it, or create it anew.`,
    );
  }
}

/** The dataset has been changed since the caller read it. */
export class DatasetChanged extends Problem {
  static override readonly kind = {
    code: 'dataset-changed',
    status: 412,
    title: 'Dataset changed',
  };

  constructor(etag: string) {
    super('The dataset has changed since you read it; read it again and decide anew.', { etag });
  }
}

/** The dataset has as many tags as it may have. */
export class TooManyTags extends Problem {
  static override readonly kind = { code: 'too-many-tags', status: 409, title: 'Too many tags' };

  constructor(limit: number) {
    super(`A dataset has at most ${limit} tags; remove one first.`, { limit });
  }
}

const MISSING_SHOWN = 100;

/** A document wants contents that are not here, or not the caller's to read; it is not told which. */
export class ContentsMissing extends Problem {
  static override readonly kind = {
    code: 'contents-missing',
    status: 422,
    title: 'Contents missing',
    isRefusal: true,
  };

  /** @param missing their digests, as many of them as are known */
  constructor(missing: readonly Sha256[], count: number) {
    super(
      `The document refers to ${count} contents that you cannot read here; upload them first, then import again. Nothing was created.`,
      { missing: missing.slice(0, MISSING_SHOWN), missingCount: count },
    );
  }
}
