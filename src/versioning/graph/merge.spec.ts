import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { FileId } from '../../core/ids.js';
import { applied, differences } from './diff.js';
import { mergeBases, type HistoryNode } from './merge-base.js';
import { mergeContents, mergePath } from './merge.js';
import type { Content } from './overlay.js';

const tree = fc
  .dictionary(
    fc.constantFrom('a', 'b', 'c', 'd', 'a/b', '\ue000', '🦊'),
    fc.integer({ min: 1, max: 4 }),
  )
  .map(
    (files) =>
      new Map(
        Object.entries(files).map(([path, id]): [string, Content] => [
          path,
          { fileId: id as FileId, metadata: null },
        ]),
      ),
  );
type Tree = ReadonlyMap<string, Content>;
const pathsOf = (...trees: Tree[]) =>
  [...new Set(trees.flatMap((each) => [...each.keys()]))].sort();
const sorted = (of: Tree) => [...of].sort(([a], [b]) => (a < b ? -1 : 1));

function merged(base: Tree, ours: Tree, theirs: Tree) {
  const { changes, conflicts } = mergeContents(pathsOf(base, ours, theirs), base, ours, theirs);
  const result = new Map(ours);
  for (const [path, content] of changes) {
    if (content) result.set(path, content);
    else result.delete(path);
  }
  return { result, conflicts };
}

describe('differences', () => {
  it('applied to the first give the second', () => {
    fc.assert(
      fc.property(tree, tree, (a, b) => {
        const found = differences(pathsOf(a, b), a, b);
        expect(sorted(applied(found, a))).toEqual(sorted(b));
        expect(differences(pathsOf(a, b), a, a)).toEqual([]);
      }),
    );
  });

  it('tell a content that went to another path as one move', () => {
    const content = (id: number): Content => ({ fileId: id as FileId, metadata: null });
    const before = new Map([
      ['old', content(1)],
      ['gone', content(2)],
      ['same', content(3)],
    ]);
    const after = new Map([
      ['new', content(1)],
      ['more', content(4)],
      ['same', content(5)],
    ]);
    const found = differences(pathsOf(before, after), before, after);
    expect(found.map(({ kind, path }) => [kind, path])).toEqual([
      ['removed', 'gone'],
      ['added', 'more'],
      ['moved', 'new'],
      ['changed', 'same'],
    ]);
    expect(found[2]).toMatchObject({ from: 'old' });
  });
});

describe('mergeContents', () => {
  it('is symmetric in content where nothing conflicts, and in conflicts', () => {
    fc.assert(
      fc.property(tree, tree, tree, (base, ours, theirs) => {
        const one = merged(base, ours, theirs);
        const other = merged(base, theirs, ours);
        expect(one.conflicts.map(({ path }) => path)).toEqual(
          other.conflicts.map(({ path }) => path),
        );
        const clashing = new Set(one.conflicts.map(({ path }) => path));
        const agreed = (result: Tree) => sorted(result).filter(([path]) => !clashing.has(path));
        expect(agreed(one.result)).toEqual(agreed(other.result));
      }),
    );
  });

  it('keeps what only one side did, and takes an unchanged side’s rival whole', () => {
    fc.assert(
      fc.property(tree, tree, (base, changed) => {
        expect(sorted(merged(base, base, changed).result)).toEqual(sorted(changed));
        expect(sorted(merged(base, changed, base).result)).toEqual(sorted(changed));
        expect(sorted(merged(base, changed, changed).result)).toEqual(sorted(changed));
        expect(merged(base, changed, changed).conflicts).toEqual([]);
      }),
    );
  });

  it('finds a conflict where both changed a path differently, or one removed what the other changed', () => {
    const [one, two, three] = [1, 2, 3].map((id): Content => ({
      fileId: id as FileId,
      metadata: null,
    }));
    expect(mergePath(one!, two!, three!)).toBe('conflict');
    expect(mergePath(one!, null, three!)).toBe('conflict');
    expect(mergePath(one!, two!, null)).toBe('conflict');
    expect(mergePath(null, two!, three!)).toBe('conflict');
    expect(mergePath(one!, null, null)).toBe('ours');
    expect(mergePath(one!, one!, null)).toBe('theirs');
    expect(mergePath(null, null, one!)).toBe('theirs');
  });
});

describe('mergeBases', () => {
  /** A random history: version i has parents among those before it. */
  const history = fc
    .array(fc.tuple(fc.nat(), fc.option(fc.nat())), { minLength: 1, maxLength: 30 })
    .map((choices) =>
      choices.map(([first, second], i): HistoryNode => {
        const parents =
          i === 0 || first % 11 === 10 ? [] : [first % i, ...(second === null ? [] : [second % i])];
        return { id: i, number: i + 1, parents: [...new Set(parents)] };
      }),
    );

  function ancestors(nodes: readonly HistoryNode[], id: number): Set<number> {
    const found = new Set([id]);
    for (const each of found) for (const parent of nodes[each]!.parents) found.add(parent);
    return found;
  }

  it('agrees with the definition: common ancestors that no other common ancestor descends from', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.nat(), fc.nat(), async (nodes, x, y) => {
        const [left, right] = [x % nodes.length, y % nodes.length];
        const rightward = ancestors(nodes, right);
        const common = [...ancestors(nodes, left)].filter((each) => rightward.has(each));
        const best = common.filter(
          (each) => !common.some((other) => other !== each && ancestors(nodes, other).has(each)),
        );
        const found = await mergeBases(left, right, async (ids) => ids.map((id) => nodes[id]!));
        expect(found.sort((a, b) => a - b)).toEqual(best.sort((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });

  it('looks at no more of a long history than it needs', async () => {
    let loads = 0;
    const load = async (ids: readonly number[]) => {
      loads += 1;
      return ids.map((id) => ({ id, number: id, parents: id > 0 ? [id - 1] : [] }));
    };
    expect(await mergeBases(10_000, 9_990, load)).toEqual([9_990]);
    expect(loads).toBeLessThan(20);
  });
});
