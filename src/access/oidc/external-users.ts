import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { UserId } from '../../core/ids.js';
import type { Role } from '../../core/principal.js';
import { hashSecret } from '../key-secret.js';
import { MAX_NAME } from '../users.dto.js';

/** What a provider's token says of somebody. */
export interface ExternalIdentity {
  readonly issuer: string;
  readonly subject: string;
  /** What to call somebody who comes for the first time. */
  readonly name: string;
  /** Null where roles are given here, not there. */
  readonly role: Role | null;
}

export interface KnownUser {
  readonly userId: UserId;
  readonly name: string;
  readonly role: Role;
}

interface UserRow extends KnownUser {
  readonly disabled: boolean;
}

/** The users that stand for those whom an OpenID provider knows. */
@Injectable()
export class ExternalUsers {
  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /** The user, made when first seen and given the role that the provider says; null if disabled. */
  async find(identity: ExternalIdentity): Promise<KnownUser | null> {
    const known = await this.unitOfWork.read((tx) => lookUp(tx, identity));
    const user =
      known && (identity.role === null || identity.role === known.role)
        ? known
        : await this.unitOfWork.run((tx) => this.bringUpToDate(tx, identity));
    if (user.disabled) return null;
    return { userId: user.userId, name: user.name, role: user.role };
  }

  private async bringUpToDate(tx: Tx, identity: ExternalIdentity): Promise<UserRow> {
    // The same person may come for the first time twice at the same moment.
    await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, [
      `varve.external-user ${identity.issuer} ${identity.subject}`,
    ]);
    const known = (await lookUp(tx, identity)) ?? (await make(tx, identity));
    if (identity.role === null || identity.role === known.role) return known;
    await tx.query('UPDATE users SET role = $2 WHERE id = $1', [known.userId, identity.role]);
    return { ...known, role: identity.role };
  }
}

async function lookUp(tx: Pick<Tx, 'query'>, identity: ExternalIdentity): Promise<UserRow | null> {
  const [row] = await tx.query<UserRow>(
    `SELECT u.id AS "userId", u.name, u.role, u.disabled_at IS NOT NULL AS disabled
     FROM external_identities e JOIN users u ON u.id = e.user_id
     WHERE e.issuer = $1 AND e.subject = $2`,
    [identity.issuer, identity.subject],
  );
  return row ?? null;
}

/** A name that is taken is somebody else's: whoever comes from outside never takes a user over. */
async function make(tx: Tx, identity: ExternalIdentity): Promise<UserRow> {
  const role = identity.role ?? 'member';
  const plain = plainName(identity.name);
  const mark = hashSecret(`${identity.issuer} ${identity.subject}`).slice(0, 12);
  for (const name of [plain, `${plain} ${mark}`]) {
    const [row] = await tx.query<{ id: UserId }>(
      `INSERT INTO users (name, role) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING id`,
      [name, role],
    );
    if (!row) continue;
    await tx.query(
      'INSERT INTO external_identities (issuer, subject, user_id) VALUES ($1, $2, $3)',
      [identity.issuer, identity.subject, row.id],
    );
    return { userId: row.id, name, role, disabled: false };
  }
  throw new Error(`Both names of ${identity.subject} are taken`);
}

/** As much of a name as a user here may have. */
function plainName(name: string): string {
  const plain = name
    .replaceAll(/\p{Cc}/gu, '')
    .slice(0, MAX_NAME - 13)
    .toWellFormed()
    .trim();
  return plain === '' ? 'somebody' : plain;
}
