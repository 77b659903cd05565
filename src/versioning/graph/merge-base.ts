/** A version in a history: its number is greater than those of its parents. */
export interface HistoryNode {
  readonly id: number;
  readonly number: number;
  /** The first parent first. */
  readonly parents: readonly number[];
}

/** Gives the nodes of some ids, and possibly some of their ancestors, so that few calls are needed. */
export type LoadHistory = (ids: readonly number[]) => Promise<readonly HistoryNode[]>;

const LEFT = 1;
const RIGHT = 2;
/** Below a common ancestor: no best one any more. */
const STALE = 4;

/**
 * The best common ancestors of two versions: those that no other common ancestor descends from.
 * There are several after criss-cross merges, none where the histories are unrelated. Both histories
 * are painted from the newest version down, as `git merge-base` does, and only as far as needed.
 */
export async function mergeBases(
  left: number,
  right: number,
  load: LoadHistory,
): Promise<number[]> {
  const known = new Map<number, HistoryNode>();
  const fetch = async (id: number): Promise<HistoryNode> => {
    if (!known.has(id)) for (const node of await load([id])) known.set(node.id, node);
    const node = known.get(id);
    if (!node) throw new Error(`History names version ${id}, which is not there`);
    return node;
  };
  const colours = new Map<number, number>();
  const queue = new Map<number, HistoryNode>();
  const paint = async (id: number, colour: number): Promise<void> => {
    const before = colours.get(id) ?? 0;
    if ((before | colour) === before) return;
    colours.set(id, before | colour);
    queue.set(id, await fetch(id));
  };
  await paint(left, LEFT);
  await paint(right, RIGHT);
  const found: HistoryNode[] = [];
  while ([...queue.keys()].some((id) => !((colours.get(id) ?? 0) & STALE))) {
    const node = newest(queue.values());
    queue.delete(node.id);
    let colour = colours.get(node.id) ?? 0;
    if ((colour & (LEFT | RIGHT)) === (LEFT | RIGHT)) {
      if (!(colour & STALE)) found.push(node);
      colour |= STALE;
    }
    for (const parent of node.parents) await paint(parent, colour);
  }
  return found.filter(({ id }) => !((colours.get(id) ?? 0) & STALE)).map(({ id }) => id);
}

function newest(nodes: Iterable<HistoryNode>): HistoryNode {
  let best: HistoryNode | undefined;
  for (const node of nodes) if (!best || node.number > best.number) best = node;
  return best as HistoryNode;
}
