import { Inject, Injectable } from '@nestjs/common';
import { MoreThan } from 'typeorm';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { UserId } from '../core/ids.js';
import type { Role } from '../core/principal.js';
import { NotFound } from '../core/problems.js';
import { Authenticator } from './authenticator.js';
import { LastAdministrator, UserNameTaken } from './problems.js';
import { UserEntity } from './user.entity.js';

/** What of a user can change. */
export interface UserChange {
  readonly role?: Role;
  readonly disabled?: boolean;
}

/** Making, listing, promoting and disabling users. */
@Injectable()
export class UsersService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly authenticator: Authenticator,
  ) {}

  /** @throws UserNameTaken */
  create(name: string, role: Role): Promise<UserEntity> {
    return this.unitOfWork.run(async (tx) => {
      const [row] = await tx.query<{ id: UserId }>(
        `INSERT INTO users (name, role) VALUES ($1, $2)
         ON CONFLICT (name) DO NOTHING RETURNING id`,
        [name, role],
      );
      if (!row) throw new UserNameTaken(name);
      return tx.manager.findOneByOrFail(UserEntity, { id: row.id });
    });
  }

  /** @throws NotFound */
  get(id: UserId): Promise<UserEntity> {
    return this.unitOfWork.read(async (tx) => {
      const user = await tx.manager.findOneBy(UserEntity, { id });
      if (!user) throw new NotFound(`User ${id}`);
      return user;
    });
  }

  /** Users in the order of their ids, after one of them. */
  list(after: number, limit: number): Promise<UserEntity[]> {
    return this.unitOfWork.read((tx) =>
      tx.manager.find(UserEntity, {
        where: { id: MoreThan(after as UserId) },
        order: { id: 'ASC' },
        take: limit,
      }),
    );
  }

  /**
   * Changes a user's role, disables or enables it. Takes effect on every replica within a second.
   * @throws NotFound, LastAdministrator
   */
  change(id: UserId, change: UserChange): Promise<UserEntity> {
    return this.unitOfWork.run(async (tx) => {
      // Whoever takes an administrator away waits here for the others who do: of two that disable
      // each other at the same moment only one may succeed.
      const administrators = await tx.query<{ id: UserId }>(
        `SELECT id FROM users WHERE role = 'admin' AND disabled_at IS NULL
         ORDER BY id FOR NO KEY UPDATE`,
      );
      const isLast = administrators.length === 1 && administrators[0]?.id === id;
      if (isLast && (change.role === 'member' || change.disabled)) throw new LastAdministrator();

      const [row] = await tx.query<{ id: UserId }>(
        `UPDATE users SET
           role = coalesce($2, role),
           disabled_at = CASE $3::boolean WHEN true THEN coalesce(disabled_at, now())
                                          WHEN false THEN NULL ELSE disabled_at END
         WHERE id = $1 RETURNING id`,
        [id, change.role ?? null, change.disabled ?? null],
      );
      if (!row) throw new NotFound(`User ${id}`);
      this.authenticator.forgetAfterCommit(tx);
      return tx.manager.findOneByOrFail(UserEntity, { id });
    });
  }
}
