import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { Principal } from '../../core/principal.js';
import { NotFound } from '../../core/problems.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { TooManyWebhooks } from '../events.problems.js';
import { patternsOf } from '../log/selection.js';
import { WebhookAddresses } from './webhook-address.js';
import { WebhookAlarm } from './webhook-alarm.js';
import { WebhookSecrets } from './webhook-secrets.js';
import { newSecret, secretText } from './webhook-signature.js';
import type {
  ChangeWebhookDto,
  CreateWebhookDto,
  DeliveryRow,
  WebhookRow,
} from './webhooks.dto.js';

/** How long the secret before is good besides the new one. */
const ROTATION = '24 hours';
const COLUMNS = `id, user_id, url, types, subject, description, created_at, failing_since,
  disabled_at, disabled_reason`;
const DELIVERY = `id::text, event, state, attempts, due_at, last_status, last_error, created_at,
  ended_at`;
/** A webhook is its owner's and the administrators' business; others do not know that it is there. */
const OWN = '(user_id = $2 OR $3)';

/** Making, changing and inspecting webhooks. */
@Injectable()
export class WebhooksService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly addresses: WebhookAddresses,
    private readonly alarm: WebhookAlarm,
    private readonly secrets: WebhookSecrets,
    @Inject(CONFIG) private readonly config: Pick<Config, 'MAX_WEBHOOKS'>,
  ) {}

  /** @throws InvalidInput for an address that is inside or a pattern that is none, TooManyWebhooks */
  async create(
    { userId }: Principal,
    { url, types, subject, description }: CreateWebhookDto,
  ): Promise<{ webhook: WebhookRow; secret: string }> {
    const checked = await this.checkUrl(url);
    patternsOf(types);
    const secret = newSecret();
    const sealed = await this.secrets.seal(secret);
    const most = this.config.MAX_WEBHOOKS;
    const webhook = await this.unitOfWork.run(async (tx) => {
      // Whoever makes two at once waits here: the user's row is the judge of how many there are.
      await tx.query('SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE', [userId]);
      const [row] = await tx.query<WebhookRow>(
        `INSERT INTO webhooks (user_id, url, types, subject, description, secret)
         SELECT $1::integer, $2::text, $3::text[], $4::text, $5::text, $6::bytea
         WHERE (SELECT count(*) FROM webhooks WHERE user_id = $1) < $7
         RETURNING ${COLUMNS}`,
        [userId, checked, types, subject ?? null, description ?? '', sealed, most],
      );
      if (row) return row;
      throw new TooManyWebhooks(most);
    });
    return { webhook, secret: secretText(secret) };
  }

  list({ userId, role }: Principal, after: number, limit: number): Promise<WebhookRow[]> {
    return this.unitOfWork.read((tx) =>
      tx.query<WebhookRow>(
        `SELECT ${COLUMNS} FROM webhooks WHERE id > $1 AND ${OWN} ORDER BY id LIMIT $4`,
        [after, userId, role === 'admin', limit],
      ),
    );
  }

  /** @throws NotFound */
  async get(principal: Principal, id: number): Promise<WebhookRow> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<WebhookRow>(`SELECT ${COLUMNS} FROM webhooks WHERE id = $1 AND ${OWN}`, [
        id,
        principal.userId,
        principal.role === 'admin',
      ]),
    );
    return found(row, id);
  }

  /** @throws NotFound, InvalidInput */
  async change(principal: Principal, id: number, to: ChangeWebhookDto): Promise<WebhookRow> {
    const url = to.url === undefined ? null : await this.checkUrl(to.url);
    patternsOf(to.types);
    return this.unitOfWork.run(async (tx) => {
      const [row] = await tx.query<WebhookRow>(
        `UPDATE webhooks SET url = coalesce($4, url), types = coalesce($5, types),
           description = coalesce($6, description),
           disabled_at = CASE WHEN $7::boolean THEN NULL WHEN NOT $7 THEN now() ELSE disabled_at END,
           disabled_reason = CASE WHEN $7::boolean THEN NULL WHEN NOT $7 THEN 'Stopped by its user'
             ELSE disabled_reason END,
           failing_since = CASE WHEN $7::boolean THEN NULL ELSE failing_since END
         WHERE id = $1 AND ${OWN} RETURNING ${COLUMNS}`,
        [
          id,
          principal.userId,
          principal.role === 'admin',
          url,
          to.types ?? null,
          to.description ?? null,
          to.enabled ?? null,
        ],
      );
      if (to.enabled === false) await endPending(tx, id);
      return found(row, id);
    });
  }

  /** @throws NotFound */
  async remove(principal: Principal, id: number): Promise<void> {
    const [row] = await this.unitOfWork.run((tx) =>
      tx.query(`DELETE FROM webhooks WHERE id = $1 AND ${OWN} RETURNING id`, [
        id,
        principal.userId,
        principal.role === 'admin',
      ]),
    );
    found(row, id);
  }

  /** Gives a new secret; messages are signed with the one before as well for a day. @throws NotFound */
  async rotate(principal: Principal, id: number): Promise<string> {
    const secret = newSecret();
    const sealed = await this.secrets.seal(secret);
    const [row] = await this.unitOfWork.run((tx) =>
      tx.query(
        `UPDATE webhooks SET previous_secret = secret, secret = $4,
           previous_secret_until = now() + interval '${ROTATION}'
         WHERE id = $1 AND ${OWN} RETURNING id`,
        [id, principal.userId, principal.role === 'admin', sealed],
      ),
    );
    found(row, id);
    return secretText(secret);
  }

  /** The newest first. @throws NotFound */
  async deliveries(
    principal: Principal,
    id: number,
    { before, limit, state }: { before: string | null; limit: number; state: string | null },
  ): Promise<DeliveryRow[]> {
    await this.get(principal, id);
    return this.unitOfWork.read((tx) =>
      tx.query<DeliveryRow>(
        `SELECT ${DELIVERY} FROM webhook_deliveries d
         WHERE webhook_id = $1 AND ($2::bigint IS NULL OR d.id < $2)
           AND ($3::text IS NULL OR state = $3)
         ORDER BY d.id DESC LIMIT $4`,
        [id, before, state, limit],
      ),
    );
  }

  /** Sends it once more, whatever became of it. @throws NotFound */
  async redeliver(principal: Principal, id: number, delivery: string): Promise<DeliveryRow> {
    await this.get(principal, id);
    return this.unitOfWork.run(async (tx) => {
      const [row] = await tx.query<DeliveryRow>(
        `UPDATE webhook_deliveries d SET state = 'pending', attempts = 0, due_at = now(),
           ended_at = NULL
         FROM webhooks w
         WHERE d.id = $2 AND d.webhook_id = $1 AND w.id = $1 AND w.disabled_at IS NULL
         RETURNING ${DELIVERY.replaceAll(/\b(id|created_at)\b/g, 'd.$1')}`,
        [id, delivery],
      );
      if (!row) throw new NotFound(`The delivery ${delivery} of a webhook that is enabled`);
      tx.afterCommit(() => this.alarm.ring());
      return row;
    });
  }

  private async checkUrl(text: string): Promise<string> {
    const url = this.addresses.parse(text);
    await this.addresses.check(url);
    return url.href;
  }
}

/** What is left for a webhook that is disabled is not sent any more. */
export async function endPending(tx: Tx, webhook: number): Promise<void> {
  await tx.query(
    `UPDATE webhook_deliveries SET state = 'failed', ended_at = now(),
       last_error = 'The webhook was disabled'
     WHERE webhook_id = $1 AND state = 'pending'`,
    [webhook],
  );
}

function found<Row>(row: Row | undefined, id: number): Row {
  if (!row) throw new NotFound(`Webhook ${id}`);
  return row;
}
