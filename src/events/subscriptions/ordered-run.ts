/** Something to be done, and what it is about: what is about the same is done in order. */
export interface Task<Item> {
  readonly item: Item;
  readonly subject: string;
}

export type Outcome =
  | { readonly status: 'handled' }
  | { readonly status: 'failed'; readonly error: unknown }
  /** Left out, because an earlier one about the same failed. */
  | { readonly status: 'parked' };

export interface RunLimits {
  /** How many are done at a time. */
  readonly concurrency: number;
  /** Whether to begin no more; what has begun is done to its end. */
  readonly isOver: () => boolean;
}

/**
 * Does tasks in their order, those of different subjects beside each other. Gives the outcomes of
 * those that were begun, which are the first ones: where it was over early, the rest has none.
 */
export async function runInOrder<Item>(
  tasks: readonly Task<Item>[],
  work: (item: Item) => Promise<void> | void,
  { concurrency, isOver }: RunLimits,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const tails = new Map<string, Promise<void>>();
  const failed = new Set<string>();
  const running = new Set<Promise<void>>();

  const begin = (index: number, { item, subject }: Task<Item>): Promise<void> | void => {
    if (failed.has(subject)) {
      outcomes[index] = { status: 'parked' };
      return;
    }
    const end = (error?: { cause: unknown }) => {
      if (error) failed.add(subject);
      outcomes[index] = error ? { status: 'failed', error: error.cause } : { status: 'handled' };
    };
    try {
      const working = work(item);
      if (!working) return end();
      return working.then(
        () => end(),
        (cause: unknown) => end({ cause }),
      );
    } catch (cause) {
      end({ cause });
    }
  };

  for (const [index, task] of tasks.entries()) {
    while (running.size >= concurrency) await Promise.race(running);
    if (isOver()) break;
    const before = tails.get(task.subject);
    const begun = before ? before.then(() => begin(index, task)) : begin(index, task);
    if (!begun) continue;
    const tail = begun.finally(() => {
      running.delete(tail);
      if (tails.get(task.subject) === tail) tails.delete(task.subject);
    });
    tails.set(task.subject, tail);
    running.add(tail);
  }
  await Promise.all(running);
  return outcomes;
}
