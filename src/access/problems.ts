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
