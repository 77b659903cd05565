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
