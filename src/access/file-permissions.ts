import { Inject, Injectable } from '@nestjs/common';
import type { Permission } from '../core/permission.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { FileId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { GroupCommit } from '../platform/database/group-commit.js';
import { SqlAccessPolicy } from './sql-access-policy.js';

/** One at a time: of two, each would have half the company and cost as much. */
const GROUP = { items: 256, groups: 1 };

interface Question {
  readonly principal: Principal;
  readonly file: FileId;
}

/**
 * What callers may do with files, as the guard asks it for every request on one: read once for all
 * who ask at the same moment, as a round trip costs several times what the answer does. Nothing is
 * remembered: each is answered by a statement that began after it had asked.
 */
@Injectable()
export class FilePermissions {
  private readonly groups = new GroupCommit<Question, Permission | null>(
    (group) => this.read(group),
    GROUP,
  );

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly policy: SqlAccessPolicy,
  ) {}

  /** What the principal may do with the file; null for nothing, and where there is no such file. */
  of(principal: Principal, file: FileId): Promise<Permission | null> {
    return this.groups.submit({ principal, file });
  }

  private async read(
    group: readonly Question[],
  ): Promise<PromiseSettledResult<Permission | null>[]> {
    const callers = [...Map.groupBy(group, ({ principal }) => callerOf(principal)).entries()];
    // Side by side, so that one whose answer takes long keeps the others no longer than need be.
    const answers = new Map(
      await Promise.all(
        callers.map(async ([caller, own]) => [caller, await this.settled(own)] as const),
      ),
    );
    return group.map(({ principal, file }) => answers.get(callerOf(principal))!(file));
  }

  /** Reads for one caller; a failure is that caller's alone. */
  private async settled(
    own: readonly Question[],
  ): Promise<(file: FileId) => PromiseSettledResult<Permission | null>> {
    try {
      const held = await this.unitOfWork.read((tx) =>
        this.policy.permissionsOnFiles(tx, own[0]!.principal, [
          ...new Set(own.map(({ file }) => file)),
        ]),
      );
      return (file) => ({ status: 'fulfilled', value: held.get(file) ?? null });
    } catch (reason) {
      return () => ({ status: 'rejected', reason });
    }
  }
}

/** All that the answer depends on. */
function callerOf({ userId, role }: Principal): string {
  return `${role} ${userId}`;
}
