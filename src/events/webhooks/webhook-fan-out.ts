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
import { GroupCommit } from '../../platform/database/group-commit.js';
import { EventAccess } from '../log/event-access.js';
import { WebhookAlarm } from './webhook-alarm.js';

interface Candidate {
  readonly id: number;
  readonly user_id: UserId;
  readonly types: string[];
  /** Null where it asks for events about anything. */
  readonly subject: string | null;
  /** In the form of an event's time, so that they compare as text. */
  readonly created_at: string;
}

/**
 * So many events are looked at together: an archive brings ten thousand at once. No more, for each
 * that is to be sent takes a connection, and requests want theirs.
 */
const EVENTS_AT_ONCE = 16;

const FIND: PreparedSql = {
  name: 'webhook-candidates',
  text: `
  SELECT id, user_id, types, subject,
         to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at
  FROM webhooks WHERE disabled_at IS NULL AND (subject IS NULL OR subject = ANY($1::text[]))`,
};

/** Notes, for each event and each webhook that asks for it, that it is to be sent. */
@Injectable()
export class WebhookFanOut {
  /** Looks for the webhooks of events that come together with one statement. */
  private readonly lookups = new GroupCommit<DomainEvent, Candidate[]>(
    (events) => this.candidates(events),
    { items: EVENTS_AT_ONCE, groups: 1 },
  );

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(AUTHENTICATOR) private readonly authenticator: PrincipalAuthenticator,
    private readonly access: EventAccess,
    private readonly alarm: WebhookAlarm,
  ) {}

  @HandlesEvent('**', { name: 'webhooks.fan-out', concurrency: EVENTS_AT_ONCE })
  async onEvent(event: DomainEvent): Promise<void> {
    const webhooks = (await this.lookups.submit(event)).filter(({ types }) =>
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

  private async candidates(
    events: readonly DomainEvent[],
  ): Promise<PromiseSettledResult<Candidate[]>[]> {
    const subjects = [...new Set(events.map(({ subject }) => subject))];
    const webhooks = await this.unitOfWork.read((tx) => tx.query<Candidate>(FIND, [subjects]));
    return events.map((event) => {
      const value = webhooks.filter(
        ({ subject, created_at }) =>
          (subject === null || subject === event.subject) && created_at <= event.time,
      );
      return { status: 'fulfilled', value };
    });
  }
}
