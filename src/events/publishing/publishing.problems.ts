import { Problem } from '../../core/problems.js';

/** Another event has been published under the same id. */
export class EventIdTaken extends Problem {
  static override readonly kind = {
    code: 'event-id-taken',
    status: 409,
    title: 'Event id taken',
  };

  constructor(ids: readonly string[]) {
    const named = ids.slice(0, 10).join(', ') + (ids.length > 10 ? ' …' : '');
    super(
      `Other events have been published by these ids, and nothing of this was: ${named}. Give a new event a new id.`,
      { ids: [...ids] },
    );
  }
}
