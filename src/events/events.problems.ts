import { Problem } from '../core/problems.js';

/** A subscription that is running cannot be taken away. */
export class SubscriptionInUse extends Problem {
  static override readonly kind = {
    code: 'subscription-in-use',
    status: 409,
    title: 'Subscription in use',
  };

  constructor(name: string) {
    super(`${JSON.stringify(name)} is being run by a server. Stop what subscribes by it first.`);
  }
}

/** A user may have so many webhooks and no more. */
export class TooManyWebhooks extends Problem {
  static override readonly kind = {
    code: 'too-many-webhooks',
    status: 409,
    title: 'Too many webhooks',
  };

  constructor(most: number) {
    super(`You have ${most} webhooks, and may have no more. Delete one that is not needed.`, {
      limit: most,
    });
  }
}
