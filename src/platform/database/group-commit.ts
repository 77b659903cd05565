import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate } from 'node:timers/promises';

/** Does the work of a group; gives what became of each item, in their order. */
export type GroupWork<Item, Result> = (
  items: readonly Item[],
) => Promise<PromiseSettledResult<Result>[]>;

interface Submission<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

/**
 * Does work for many in groups: whoever comes while a group is being done goes into the next one.
 * Nobody waits for company longer than the event loop takes to look at every connection once: those
 * who came at the same moment go together, and who is alone notices nothing.
 */
export class GroupCommit<Item, Result> {
  private readonly queue: Submission<Item, Result>[] = [];
  private running = 0;
  // A group belongs to nobody: it must not join the transaction, nor log as the request, of whoever
  // happened to come first.
  private readonly detached = AsyncLocalStorage.snapshot();

  constructor(
    private readonly work: GroupWork<Item, Result>,
    private readonly limits: { readonly items: number; readonly groups: number },
  ) {}

  submit(item: Item): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.queue.push({ item, resolve, reject });
      if (this.running < this.limits.groups) void this.detached(() => this.drain());
    });
  }

  private async drain(): Promise<void> {
    this.running++;
    while (this.queue.length > 0) {
      await setImmediate();
      // Another drain may have taken them all by now.
      if (this.queue.length > 0) await this.runGroup(this.queue.splice(0, this.limits.items));
    }
    this.running--;
  }

  private async runGroup(group: readonly Submission<Item, Result>[]): Promise<void> {
    try {
      const outcomes = await this.work(group.map(({ item }) => item));
      for (const [index, { resolve, reject }] of group.entries()) {
        const outcome = outcomes[index];
        if (outcome?.status === 'fulfilled') resolve(outcome.value);
        else reject(outcome?.reason ?? new Error('The group told no outcome'));
      }
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  }
}
