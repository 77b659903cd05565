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
