import { Inject, Injectable } from '@nestjs/common';
import { QueryFailedError } from 'typeorm';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { GroupId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { NotFound } from '../core/problems.js';
import { GroupNameTaken } from './problems.js';

export interface GroupRow {
  readonly id: GroupId;
  readonly name: string;
  readonly createdAt: Date;
}

export interface MemberRow {
  readonly userId: UserId;
  readonly name: string;
  readonly addedAt: Date;
}

/** What is asked of a list: what comes after an id, and how much of it. */
interface After {
  readonly after: number;
  readonly limit: number;
}

const COLUMNS = 'id, name, created_at AS "createdAt"';

/** Groups of users, to which permissions are granted as to one. */
@Injectable()
export class GroupsService {
  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /** @throws GroupNameTaken */
  create(name: string): Promise<GroupRow> {
    return this.unitOfWork.run(async (tx) => {
      const [row] = await tx.query<GroupRow>(
        `INSERT INTO groups (name) VALUES ($1) ON CONFLICT (name) DO NOTHING RETURNING ${COLUMNS}`,
        [name],
      );
      if (!row) throw new GroupNameTaken(name);
      return row;
    });
  }

  /** Every group to an administrator, to others those that they are in; in the order of their ids. */
  list(principal: Principal, { after, limit }: After): Promise<GroupRow[]> {
    return this.unitOfWork.read((tx) =>
      tx.query<GroupRow>(
        `SELECT ${COLUMNS} FROM groups
         WHERE id > $1 AND ($2 OR id IN (SELECT group_id FROM group_members WHERE user_id = $3))
         ORDER BY id LIMIT $4`,
        [after, principal.role === 'admin', principal.userId, limit],
      ),
    );
  }

  /** @throws NotFound, GroupNameTaken */
  rename(id: GroupId, name: string): Promise<GroupRow> {
    return this.unitOfWork.run(async (tx) => {
      const [row] = await tx
        .query<GroupRow>(`UPDATE groups SET name = $2 WHERE id = $1 RETURNING ${COLUMNS}`, [
          id,
          name,
        ])
        .catch((error: unknown) => {
          // The unique index decides who gets a name; no look beforehand could.
          throw isNameTaken(error) ? new GroupNameTaken(name) : error;
        });
      if (!row) throw new NotFound(`Group ${id}`);
      return row;
    });
  }

  /** Takes a group away, and with it what was granted to it. @throws NotFound */
  async remove(id: GroupId): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await requireGroup(tx, id, 'FOR UPDATE');
      await tx.query('DELETE FROM groups WHERE id = $1', [id]);
    });
  }

  /** Members in the order of their ids. @throws NotFound */
  members(id: GroupId, { after, limit }: After): Promise<MemberRow[]> {
    return this.unitOfWork.read(async (tx) => {
      const [group] = await tx.query('SELECT FROM groups WHERE id = $1', [id]);
      if (!group) throw new NotFound(`Group ${id}`);
      return tx.query<MemberRow>(
        `SELECT m.user_id AS "userId", u.name, m.added_at AS "addedAt"
         FROM group_members m JOIN users u ON u.id = m.user_id
         WHERE m.group_id = $1 AND m.user_id > $2 ORDER BY m.user_id LIMIT $3`,
        [id, after, limit],
      );
    });
  }

  /** One that is a member already stays it. @throws NotFound */
  async add(id: GroupId, user: UserId): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await requireGroup(tx, id, 'FOR KEY SHARE');
      const [known] = await tx.query('SELECT FROM users WHERE id = $1', [user]);
      if (!known) throw new NotFound(`User ${user}`);
      await tx.query(
        'INSERT INTO group_members (group_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING',
        [id, user],
      );
    });
  }

  /** @throws NotFound where the user is no member */
  async removeMember(id: GroupId, user: UserId): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const [gone] = await tx.query(
        'DELETE FROM group_members WHERE group_id = $1 AND user_id = $2 RETURNING user_id',
        [id, user],
      );
      if (!gone) throw new NotFound(`Member ${user} of group ${id}`);
    });
  }
}

function isNameTaken(error: unknown): boolean {
  if (!(error instanceof QueryFailedError)) return false;
  return (error.driverError as { constraint?: string }).constraint === 'groups_name_unique';
}

async function requireGroup(tx: Tx, id: GroupId, lock: string): Promise<void> {
  const [group] = await tx.query(`SELECT id FROM groups WHERE id = $1 ${lock}`, [id]);
  if (!group) throw new NotFound(`Group ${id}`);
}
