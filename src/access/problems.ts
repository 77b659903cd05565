import { Problem } from '../core/problems.js';

/** Another user has the name. */
export class UserNameTaken extends Problem {
  static override readonly kind = {
    code: 'user-name-taken',
    status: 409,
    title: 'User name taken',
  };

  constructor(name: string) {
    super(`There is a user named ${JSON.stringify(name)} already.`);
  }
}

/** The change would leave nobody who can administer the server. */
export class LastAdministrator extends Problem {
  static override readonly kind = {
    code: 'last-administrator',
    status: 409,
    title: 'Last administrator',
  };

  constructor() {
    super('This is the last administrator who is not disabled; make another one first.');
  }
}

/** Whoever wants to sign in did not say who it is, in whichever way. */
export class LoginRefused extends Problem {
  static override readonly kind = {
    code: 'login-refused',
    status: 401,
    title: 'Login refused',
    isRefusal: true,
  };

  constructor() {
    super('The name or the password is not right, or too many were tried; then wait a while.');
  }
}

/** The refresh token is none that works. */
export class RefreshRefused extends Problem {
  static override readonly kind = {
    code: 'refresh-refused',
    status: 401,
    title: 'Refresh refused',
    isRefusal: true,
  };

  constructor() {
    super('The refresh token does not work, or no longer. Sign in again.');
  }
}

/** Too many calls in too short a time (RFC 6585, section 4). */
export class RateLimited extends Problem {
  static override readonly kind = {
    code: 'rate-limited',
    status: 429,
    title: 'Too many requests',
    isRefusal: true,
  };

  constructor(limit: number, windowSeconds: number, retryAfterSeconds: number) {
    super(
      `More than ${limit} requests in ${windowSeconds} seconds. Go on in ${retryAfterSeconds} s.`,
      {},
      { 'Retry-After': String(retryAfterSeconds) },
    );
  }
}

/** A disabled user gets no keys: none would work. */
export class UserDisabled extends Problem {
  static override readonly kind = { code: 'user-disabled', status: 409, title: 'User disabled' };

  constructor() {
    super('The user is disabled; enable it before making keys for it.');
  }
}

/** Another group has the name. */
export class GroupNameTaken extends Problem {
  static override readonly kind = {
    code: 'group-name-taken',
    status: 409,
    title: 'Group name taken',
  };

  constructor(name: string) {
    super(`There is a group named ${JSON.stringify(name)} already.`);
  }
}

/** A dataset's owner administers it, whatever is granted. */
export class OwnerAdministers extends Problem {
  static override readonly kind = {
    code: 'owner-administers',
    status: 409,
    title: 'The owner administers it',
  };

  constructor() {
    super('The owner of a dataset administers it without a grant, and none can take that away.');
  }
}

/** The change would leave a dataset to nobody who could administer it. */
export class LastDatasetAdministrator extends Problem {
  static override readonly kind = {
    code: 'last-administrator',
    status: 409,
    title: 'Last administrator',
  };

  constructor() {
    super('Nobody who is not disabled would administer the dataset; let another one do so first.');
  }
}

/** The change would take from the caller what it needs to take the change back. */
export class WouldLockYouOut extends Problem {
  static override readonly kind = {
    code: 'would-lock-you-out',
    status: 409,
    title: 'Would lock you out',
  };

  constructor() {
    super('You would no longer administer the file. Somebody else who administers it can do this.');
  }
}
