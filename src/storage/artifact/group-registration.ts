import type { Tx, UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { GroupCommit } from '../../platform/database/group-commit.js';
import type { Registered, RegisteredArtifact, RegistrationEntry, Registrar } from './registrar.js';

/** What one request registers at once. */
export type Registration = readonly RegistrationEntry[];

/** More requests in one transaction save nothing, and keep its rows locked for longer. */
const GROUP = { items: 64, groups: 2 };

/**
 * Registers for many requests in one transaction: a commit's sync, its round trips and its locks
 * are paid once for all of them.
 */
export class GroupRegistration {
  private readonly groups = new GroupCommit<Registration, RegisteredArtifact[]>(
    (group) => this.registerGroup(group),
    GROUP,
  );

  /**
   * @param onCommit told what to drop when a transaction has committed
   */
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly registrar: Registrar,
    private readonly onCommit: (registered: Registered) => void,
  ) {}

  /** Registers in a transaction that it may share with others. Nothing of it is dropped on failure. */
  submit(registration: Registration): Promise<RegisteredArtifact[]> {
    return this.groups.submit(registration);
  }

  private async registerGroup(
    group: readonly Registration[],
  ): Promise<PromiseSettledResult<RegisteredArtifact[]>[]> {
    let isFinalizing = false;
    try {
      const outcomes = await this.transact(group.flat(), () => (isFinalizing = true));
      return split(outcomes, group);
    } catch (error) {
      if (group.length === 1 || isFinalizing) {
        return group.map(() => ({ status: 'rejected', reason: error }));
      }
    }
    // Something in one of them spoils the transaction for all: each goes alone.
    const alone: PromiseSettledResult<RegisteredArtifact[]>[] = [];
    for (const registration of group) alone.push(...(await this.registerGroup([registration])));
    return alone;
  }

  private async transact(
    entries: Registration,
    onFinalizing: () => void,
  ): Promise<Registered['outcomes']> {
    const registered = await this.unitOfWork.run((tx: Tx) =>
      this.registrar.register(tx, entries, { onFinalizing }),
    );
    this.onCommit(registered);
    return registered.outcomes;
  }
}

/** Deals the entries' outcomes out to the registrations they came from, which fail with any of them. */
function split(
  outcomes: Registered['outcomes'],
  group: readonly Registration[],
): PromiseSettledResult<RegisteredArtifact[]>[] {
  let at = 0;
  return group.map(({ length }) => {
    const own = outcomes.slice(at, (at += length));
    const failed = own.find((outcome) => outcome.status === 'rejected');
    if (failed) return failed;
    const value = own.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    return { status: 'fulfilled', value };
  });
}
