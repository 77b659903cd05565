import { Inject, Injectable } from '@nestjs/common';
import { AUTHENTICATOR, type PrincipalAuthenticator } from '../../core/contracts/authenticator.js';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import {
  UNIT_OF_WORK,
  type PreparedSql,
  type UnitOfWork,
} from '../../core/contracts/unit-of-work.js';
import { matchesEventPattern } from '../../core/events/event-pattern.js';
import { HandlesEvent } from '../../core/events/handles-event.decorator.js';
import type { UserId } from '../../core/ids.js';
import { EventAccess } from '../log/event-access.js';
import { WebhookAlarm } from './webhook-alarm.js';

interface Candidate {
  readonly id: number;
  readonly user_id: UserId;
  readonly types: string[];
}

/** Cheap, for it is asked for every event. */
const CANDIDATES: PreparedSql = {
  name: 'webhook-candidates',
  text: `SELECT id, user_id, types FROM webhooks
    WHERE disabled_at IS NULL AND (subject IS NULL OR subject = $1)
      AND created_at <= $2::timestamptz`,
};

/** Notes, for each event and each webhook that asks for it, that it is to be sent. */
@Injectable()
export class WebhookFanOut {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(AUTHENTICATOR) private readonly authenticator: PrincipalAuthenticator,
    private readonly access: EventAccess,
    private readonly alarm: WebhookAlarm,
  ) {}

  @HandlesEvent('**', { name: 'webhooks.fan-out' })
  async onEvent(event: DomainEvent): Promise<void> {
    const webhooks = (await this.candidates(event)).filter(({ types }) =>
      types.some((pattern) => matchesEventPattern(pattern, event.type)),
    );
    const owners = Map.groupBy(webhooks, ({ user_id }) => user_id);
    const ids: number[] = [];
    for (const [owner, own] of owners) {
      if (await this.maySee(owner, event)) ids.push(...own.map(({ id }) => id));
    }
    if (ids.length === 0) return;
    await this.unitOfWork.run(async (tx) => {
      // Told of the event twice, it is sent once.
      await tx.query(
        `INSERT INTO webhook_deliveries (webhook_id, event_id, event)
         SELECT w.id, $2::uuid, $3::jsonb FROM webhooks w WHERE w.id = ANY($1) AND w.disabled_at IS NULL
         ON CONFLICT (webhook_id, event_id) DO NOTHING`,
        [ids, event.id, event],
      );
      tx.afterCommit(() => this.alarm.ring());
    });
  }

  /** Whether whoever has the webhook may, now, be told of the event. */
  async maySee(owner: UserId, event: DomainEvent): Promise<boolean> {
    const principal = await this.authenticator.principalOf(owner);
    if (!principal) return false;
    return (await this.access.visible(principal, [{ event }])).length > 0;
  }

  private candidates({ subject, time }: DomainEvent): Promise<Candidate[]> {
    return this.unitOfWork.read((tx) => tx.query<Candidate>(CANDIDATES, [subject, time]));
  }
}
