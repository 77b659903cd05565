import type { JsonValue } from './json.js';

/** What is the same for every occurrence of a kind of problem. */
export interface ProblemKind {
  /** The last part of the problem's `type`: stable, in kebab-case. */
  readonly code: string;
  /** The HTTP status that the problem is answered with. */
  readonly status: number;
  /** One short phrase, the same for every occurrence. */
  readonly title: string;
  /** Whether somebody may have tried what is not theirs to do: the audit records it. */
  readonly isRefusal?: boolean;
}

/**
 * A fact of the domain that ends a request: what happened, and what the caller can do about it.
 * One filter in platform/http turns it into `application/problem+json` (RFC 9457).
 *
 * A subclass says its kind in a static `kind`, so that the OpenAPI document can name it as well.
 */
export abstract class Problem extends Error {
  static readonly kind: ProblemKind;

  /**
   * @param detail what happened here and what to do, in a sentence
   * @param members extension members of the answer (RFC 9457, section 3.2)
   * @param headers response headers of the answer, such as `Retry-After`
   */
  constructor(
    detail: string,
    readonly members: Readonly<Record<string, JsonValue>> = {},
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.name = new.target.name;
  }

  get kind(): ProblemKind {
    return (this.constructor as typeof Problem).kind;
  }
}

/** The class of a problem: what `@Problems(...)` takes to document an operation. */
export type ProblemClass = { readonly kind: ProblemKind; readonly name: string };

/** Input that breaks a rule; `errors` names each place and what is wrong there. */
export class InvalidInput extends Problem {
  static override readonly kind = { code: 'invalid-input', status: 400, title: 'Invalid input' };

  constructor(detail: string, errors: { at: string; message: string }[] = []) {
    super(detail, errors.length > 0 ? { errors } : {});
  }
}

/** The thing does not exist, or the caller may not know that it does. */
export class NotFound extends Problem {
  static override readonly kind = {
    code: 'not-found',
    status: 404,
    title: 'Not found',
    isRefusal: true,
  };

  constructor(what: string) {
    super(`${what} does not exist or is not yours to see.`);
  }
}

/** No credentials, or none that are valid. */
export class Unauthenticated extends Problem {
  static override readonly kind = {
    code: 'unauthenticated',
    status: 401,
    title: 'Unauthenticated',
    isRefusal: true,
  };

  constructor(detail = 'Send a valid API key as "Authorization: Bearer <key>".') {
    super(detail, {}, { 'WWW-Authenticate': 'Bearer' });
  }
}

/** The caller may see the thing, but not do this to it. */
export class Forbidden extends Problem {
  static override readonly kind = {
    code: 'forbidden',
    status: 403,
    title: 'Forbidden',
    isRefusal: true,
  };
}

/** The server cannot take this on now; the same request may succeed later. */
export class Unavailable extends Problem {
  static override readonly kind = { code: 'unavailable', status: 503, title: 'Unavailable' };

  constructor(detail: string, retryAfterSeconds: number) {
    super(detail, {}, { 'Retry-After': String(retryAfterSeconds) });
  }
}
