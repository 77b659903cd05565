import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { CannotUnseal, type SecretBox } from '../../platform/secrets/secret-box.js';
import { SecretKeys } from '../../platform/secrets/secret-keys.js';
import { SECRET_BYTES } from './webhook-signature.js';

const PURPOSE = 'webhooks.secret';
const PAGE = 500;

interface SecretsRow {
  readonly id: number;
  readonly secret: Buffer;
  readonly previous_secret: Buffer | null;
}

/** The secrets that messages are signed with, which lie sealed in the database. */
@Injectable()
export class WebhookSecrets implements OnApplicationBootstrap {
  private readonly logger = new Logger(WebhookSecrets.name);

  constructor(
    private readonly keys: SecretKeys,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  /** Seals anew what another key has sealed, and what lay there in clear before secrets were sealed. */
  async onApplicationBootstrap(): Promise<void> {
    for (let after = 0; ;) {
      const rows = await this.unitOfWork.read((tx) =>
        tx.query<SecretsRow>(
          'SELECT id, secret, previous_secret FROM webhooks WHERE id > $1 ORDER BY id LIMIT $2',
          [after, PAGE],
        ),
      );
      if (rows.length > 0) await this.renew(await this.keys.box(), rows);
      after = rows.at(-1)?.id ?? after;
      if (rows.length < PAGE) return;
    }
  }

  async seal(secret: Buffer): Promise<Buffer> {
    return (await this.keys.box()).seal(secret, PURPOSE);
  }

  /**
   * What to sign with. The secret before is left out where its key is gone: then nobody can.
   * @throws CannotUnseal
   */
  async open(secret: Buffer, previous: Buffer | null): Promise<Buffer[]> {
    const box = await this.keys.box();
    const secrets = [box.open(secret, PURPOSE)];
    try {
      if (previous) secrets.push(box.open(previous, PURPOSE));
    } catch (error) {
      if (!(error instanceof CannotUnseal)) throw error;
    }
    return secrets;
  }

  private async renew(box: SecretBox, rows: readonly SecretsRow[]): Promise<void> {
    const renewed = rows.flatMap(({ id, secret, previous_secret }) => {
      if ([secret, previous_secret].every((one) => one === null || box.isNewest(one))) return [];
      try {
        const previous = previous_secret && sealedAnew(box, previous_secret);
        return [{ id, before: secret, secret: sealedAnew(box, secret), previous }];
      } catch (error) {
        if (!(error instanceof CannotUnseal)) throw error;
        this.logger.error(
          `Webhook ${id} cannot sign. ${error.message} Give SECRETS_KEY the key that it was sealed with, besides the newer one; or have its owner get a new secret.`,
        );
        return [];
      }
    });
    if (renewed.length === 0) return;
    await this.unitOfWork.run((tx) =>
      tx.query(
        `UPDATE webhooks w SET secret = r.secret, previous_secret = r.previous_secret
         FROM unnest($1::integer[], $2::bytea[], $3::bytea[], $4::bytea[])
           AS r (id, before, secret, previous_secret)
         WHERE w.id = r.id AND w.secret = r.before`,
        [
          renewed.map(({ id }) => id),
          renewed.map(({ before }) => before),
          renewed.map(({ secret }) => secret),
          renewed.map(({ previous }) => previous),
        ],
      ),
    );
    this.logger.log(`The secrets of ${renewed.length} webhooks were sealed with the newest key`);
  }
}

function sealedAnew(box: SecretBox, kept: Buffer): Buffer {
  const secret = kept.length === SECRET_BYTES ? kept : box.open(kept, PURPOSE);
  return box.seal(secret, PURPOSE);
}
