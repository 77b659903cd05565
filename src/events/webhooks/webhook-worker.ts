import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { EVENT_BUS, type DomainEvent, type EventBus } from '../../core/contracts/event-bus.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { UserId } from '../../core/ids.js';
import { POLL_MS } from '../bus-connections.js';
import { WebhookAddresses } from './webhook-address.js';
import { WebhookAlarm } from './webhook-alarm.js';
import { WebhookFanOut } from './webhook-fan-out.js';
import { WebhookSecrets } from './webhook-secrets.js';
import { nextAttemptMs } from './webhook-schedule.js';
import { post, type Answer } from './webhook-sender.js';
import { endPending } from './webhooks.service.js';

const AT_ONCE = 16;
/** So many for one webhook: one that is slow does not keep all others waiting. */
const AT_ONCE_FOR_ONE = 4;
const CLAIM_SECONDS = 60;
const MAX_ERROR = 500;
const GONE = 410;

interface Claimed {
  readonly id: string;
  readonly webhook_id: number;
  readonly user_id: UserId;
  readonly url: string;
  readonly event: DomainEvent;
  readonly attempts: number;
  /** Sealed, as the one before. */
  readonly secret: Buffer;
  readonly previous_secret: Buffer | null;
}

/** How an attempt ended, where it did not end well. */
interface Failure {
  readonly status: number | null;
  readonly reason: string;
  readonly retryAfterMs: number | null;
  /** There is no use in trying again: the receiver is gone, or its owner may not be told. */
  readonly isFinal: boolean;
}

/** Sends what is due. Replicas share the work by claims, which end with a crash by themselves. */
@Injectable()
export class WebhookWorker implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(WebhookWorker.name);
  private readonly running = new Map<string, { webhook: number; end: Promise<void> }>();
  private stopping = false;
  private loop: Promise<void> = Promise.resolve();

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(EVENT_BUS) private readonly bus: EventBus,
    private readonly alarm: WebhookAlarm,
    private readonly addresses: WebhookAddresses,
    private readonly fanOut: WebhookFanOut,
    private readonly secrets: WebhookSecrets,
  ) {}

  onApplicationBootstrap(): void {
    this.loop = this.run();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping = true;
    this.alarm.ring();
    await this.loop;
    await Promise.all([...this.running.values()].map(({ end }) => end));
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      try {
        for (const delivery of await this.claim()) this.begin(delivery);
      } catch (error) {
        this.logger.warn({ err: error }, 'Webhooks cannot be sent');
      }
      await this.alarm.sleep(POLL_MS);
    }
  }

  private begin(delivery: Claimed): void {
    const end = this.deliver(delivery)
      .catch((error: unknown) => {
        // The claim runs out, and it is tried again.
        this.logger.warn({ err: error, delivery: delivery.id }, 'A delivery is in doubt');
      })
      .finally(() => {
        this.running.delete(delivery.id);
        this.alarm.ring();
      });
    this.running.set(delivery.id, { webhook: delivery.webhook_id, end });
  }

  private claim(): Promise<Claimed[]> {
    const room = AT_ONCE - this.running.size;
    if (room <= 0) return Promise.resolve([]);
    const counts = Map.groupBy(this.running.values(), ({ webhook }) => webhook);
    const busy = [...counts].filter(([, own]) => own.length >= AT_ONCE_FOR_ONE).map(([id]) => id);
    return this.unitOfWork.run((tx) =>
      tx.query<Claimed>(
        `WITH due AS (
           SELECT id, webhook_id FROM webhook_deliveries
           WHERE state = 'pending' AND due_at <= now() AND webhook_id <> ALL($2::integer[])
             AND (claimed_until IS NULL OR claimed_until < now())
           ORDER BY due_at LIMIT 500
         ), fair AS (
           SELECT id, row_number() OVER (PARTITION BY webhook_id ORDER BY id) AS n FROM due
         ), free AS (
           SELECT d.id FROM webhook_deliveries d JOIN fair ON fair.id = d.id
           WHERE fair.n <= ${AT_ONCE_FOR_ONE} AND d.state = 'pending'
             AND (d.claimed_until IS NULL OR d.claimed_until < now())
           ORDER BY d.id LIMIT $1 FOR UPDATE OF d SKIP LOCKED
         )
         UPDATE webhook_deliveries d SET attempts = d.attempts + 1,
           claimed_until = now() + interval '${CLAIM_SECONDS} seconds'
         FROM free, webhooks w WHERE d.id = free.id AND w.id = d.webhook_id
         RETURNING d.id::text, d.webhook_id, w.user_id, w.url, d.event, d.attempts, w.secret,
           CASE WHEN w.previous_secret_until > now() THEN w.previous_secret END AS previous_secret`,
        [room, busy],
      ),
    );
  }

  private async deliver(delivery: Claimed): Promise<void> {
    const failure = await this.attempt(delivery);
    if (failure) await this.fail(delivery, failure);
    else await this.succeed(delivery);
  }

  private async attempt(delivery: Claimed): Promise<Failure | null> {
    const { url, event, secret, previous_secret, user_id } = delivery;
    if (!(await this.fanOut.maySee(user_id, event))) {
      const reason = 'Its owner may not read what it is about any more';
      return { status: null, reason, retryAfterMs: null, isFinal: true };
    }
    try {
      const secrets = await this.secrets.open(secret, previous_secret);
      return judge(await post({ url, event, secrets }, this.addresses));
    } catch (error) {
      const reason = (error as Error).message;
      return { status: null, reason, retryAfterMs: null, isFinal: false };
    }
  }

  private async succeed({ id, webhook_id }: Claimed): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await tx.query(
        `UPDATE webhook_deliveries SET state = 'delivered', ended_at = now(), last_error = NULL,
           last_status = 200, claimed_until = NULL
         WHERE id = $1 AND state = 'pending'`,
        [id],
      );
      await tx.query(
        'UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL',
        [webhook_id],
      );
    });
  }

  private async fail({ id, webhook_id, attempts }: Claimed, failure: Failure): Promise<void> {
    const { status, reason, retryAfterMs, isFinal } = failure;
    const pause = isFinal ? null : nextAttemptMs(attempts, retryAfterMs);
    await this.unitOfWork.run(async (tx) => {
      await tx.query(
        `UPDATE webhook_deliveries SET last_status = $2, last_error = $3, claimed_until = NULL,
           state = CASE WHEN $4::float8 IS NULL THEN 'failed' ELSE 'pending' END,
           ended_at = CASE WHEN $4::float8 IS NULL THEN now() END,
           due_at = coalesce(now() + $4::float8 * interval '1 millisecond', due_at)
         WHERE id = $1 AND state = 'pending'`,
        [id, status, reason.replaceAll('\0', '').slice(0, MAX_ERROR), pause],
      );
      await tx.query(
        `UPDATE webhooks SET failing_since = now() WHERE id = $1 AND failing_since IS NULL`,
        [webhook_id],
      );
      // One that was tried for a day without a single success in between.
      if (pause === null) await this.disable(tx, webhook_id, status === GONE, reason);
    });
  }

  private async disable(tx: Tx, id: number, atOnce: boolean, reason: string): Promise<void> {
    const disabled = await tx.query(
      `UPDATE webhooks SET disabled_at = now(), disabled_reason = $3
       WHERE id = $1 AND disabled_at IS NULL
         AND ($2 OR failing_since < now() - interval '20 hours') RETURNING id`,
      [id, atOnce, reason.slice(0, MAX_ERROR)],
    );
    if (disabled.length === 0) return;
    await endPending(tx, id);
    await this.bus.publish(tx, 'webhook.disabled', `webhook/${id}`, { webhookId: id, reason });
  }
}

function judge({ status, retryAfterMs }: Answer): Failure | null {
  if (status >= 200 && status < 300) return null;
  const isRedirect = status >= 300 && status < 400;
  const reason = isRedirect
    ? `Answered ${status}; redirects are not followed`
    : `Answered ${status}`;
  return { status, reason, retryAfterMs, isFinal: status === GONE };
}
