import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { Unavailable } from '../../core/problems.js';
import type { SecretBox } from '../../platform/secrets/secret-box.js';
import { SecretKeys } from '../../platform/secrets/secret-keys.js';
import { SECRET_BYTES } from './webhook-signature.js';

const PURPOSE = 'webhooks.secret';
const PAGE = 500;

interface SecretsRow {
  readonly id: number;
  readonly secret: Buffer;
  readonly previous_secret: Buffer | null;
}

interface SealedAnew extends SecretsRow {
  /** What it replaces, unless that was replaced meanwhile. */
  readonly before: Buffer;
}

/** The secrets that messages are signed with, which lie sealed in the database. */
@Injectable()
export class WebhookSecrets implements OnModuleInit {
  private readonly logger = new Logger(WebhookSecrets.name);

  constructor(
    private readonly keys: SecretKeys,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  /** What another key has sealed, and what lay there in clear before secrets were sealed, is sealed anew. */
  async onModuleInit(): Promise<void> {
    try {
      await this.renewAll();
    } catch (error) {
      // Everything else of the server can do without; deliveries say what is wrong.
      if (!(error instanceof Unavailable)) throw error;
      this.logger.error(`No webhook can sign. ${error.message}`);
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
    const before = previous && box.tryOpen(previous, PURPOSE);
    return [box.open(secret, PURPOSE), ...(before ? [before] : [])];
  }

  private async renewAll(): Promise<void> {
    let renewed = 0;
    let lost = 0;
    for (let after = 0; ;) {
      const rows = await this.unitOfWork.read((tx) =>
        tx.query<SecretsRow>(
          'SELECT id, secret, previous_secret FROM webhooks WHERE id > $1 ORDER BY id LIMIT $2',
          [after, PAGE],
        ),
      );
      const last = rows.at(-1);
      if (!last) break;
      after = last.id;
      const box = await this.keys.box();
      const old = rows.filter((row) => !isNewest(box, row));
      const anew = old.flatMap((row) => sealedAnew(box, row) ?? []);
      if (anew.length > 0) await this.replace(anew);
      renewed += anew.length;
      lost += old.length - anew.length;
    }
    if (renewed > 0) this.logger.log(`The secrets of ${renewed} webhooks were sealed anew`);
    if (lost === 0) return;
    this.logger.error(
      `${lost} webhooks cannot sign: their secrets were sealed with another key. Give SECRETS_KEY that key as well, behind the newer one, or have their owners get new secrets.`,
    );
  }

  private async replace(rows: readonly SealedAnew[]): Promise<void> {
    await this.unitOfWork.run((tx) =>
      tx.query(
        `UPDATE webhooks w SET secret = r.secret, previous_secret = r.previous_secret
         FROM unnest($1::integer[], $2::bytea[], $3::bytea[], $4::bytea[])
           AS r (id, before, secret, previous_secret)
         WHERE w.id = r.id AND w.secret = r.before`,
        [
          rows.map(({ id }) => id),
          rows.map(({ before }) => before),
          rows.map(({ secret }) => secret),
          rows.map(({ previous_secret }) => previous_secret),
        ],
      ),
    );
  }
}

function isNewest(box: SecretBox, { secret, previous_secret }: SecretsRow): boolean {
  return box.isNewest(secret) && (previous_secret === null || box.isNewest(previous_secret));
}

/** Null where the key is not there. The secret before is let go where its key is. */
function sealedAnew(
  box: SecretBox,
  { id, secret, previous_secret }: SecretsRow,
): SealedAnew | null {
  const anew = (kept: Buffer) => {
    const clear = kept.length === SECRET_BYTES ? kept : box.tryOpen(kept, PURPOSE);
    return clear && box.seal(clear, PURPOSE);
  };
  const next = anew(secret);
  if (!next) return null;
  return {
    id,
    before: secret,
    secret: next,
    previous_secret: previous_secret && anew(previous_secret),
  };
}
