import { Inject, Injectable } from '@nestjs/common';
import type { DomainEvent } from '../core/contracts/event-bus.js';
import type { HandledEvents } from '../core/contracts/handled-events.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';

/** Notes what was done in the transaction that does it; the primary key judges who does. */
@Injectable()
export class SqlHandledEvents implements HandledEvents {
  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  once(
    handler: string,
    { id }: Pick<DomainEvent, 'id'>,
    work: (tx: Tx) => Promise<void>,
  ): Promise<boolean> {
    return this.unitOfWork.run(async (tx) => {
      const noted = await tx.query(
        `INSERT INTO handled_events (subscription, event_id) VALUES ($1, $2)
         ON CONFLICT DO NOTHING RETURNING event_id`,
        [handler, id],
      );
      if (noted.length === 0) return false;
      await work(tx);
      return true;
    });
  }
}
