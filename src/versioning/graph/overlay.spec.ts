import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PathExists, PathMissing, type VersionOperation } from '../../core/contracts/versions.js';
import type { FileId } from '../../core/ids.js';
import { applyOperations, totalsDelta, touchedPaths, type Content } from './overlay.js';
import { comparePaths } from './path.js';

const file = (id: number): Content => ({ fileId: id as FileId, metadata: null });
const put = (path: string, id: number): VersionOperation => ({
  op: 'put',
  path,
  fileId: id as FileId,
});
const remove = (path: string): VersionOperation => ({ op: 'remove', path });
const move = (from: string, path: string): VersionOperation => ({ op: 'move', from, path });

describe('applyOperations', () => {
  it('leaves out what ends up as it was', () => {
    const parent = new Map([
      ['a', file(1)],
      ['b', file(2)],
    ]);
    expect(applyOperations(parent, [put('a', 1)])).toEqual([]);
    expect(applyOperations(parent, [put('a', 3), put('a', 1)])).toEqual([]);
    expect(applyOperations(parent, [put('c', 3), remove('c')])).toEqual([]);
    expect(applyOperations(parent, [move('a', 'c'), move('c', 'a')])).toEqual([]);
    expect(applyOperations(parent, [move('a', 'a')])).toEqual([]);
  });

  it('takes other metadata for a change, in whatever order its members come', () => {
    const parent = new Map([['a', { ...file(1), metadata: { x: 1, y: [2] } }]]);
    const same = { ...put('a', 1), metadata: { y: [2], x: 1 } };
    expect(applyOperations(parent, [same])).toEqual([]);
    expect(applyOperations(parent, [put('a', 1)])).toEqual([['a', file(1)]]);
  });

  it('lets a file stand beside a directory of its name', () => {
    expect(applyOperations(new Map(), [put('a/b', 1), put('a', 2)])).toEqual([
      ['a', file(2)],
      ['a/b', file(1)],
    ]);
  });

  it('swaps two files by way of a third name', () => {
    const parent = new Map([
      ['a', file(1)],
      ['b', file(2)],
    ]);
    const swapped = applyOperations(parent, [move('a', 't'), move('b', 'a'), move('t', 'b')]);
    expect(swapped).toEqual([
      ['a', file(2)],
      ['b', file(1)],
    ]);
  });

  it('refuses to remove or move what is not there, and to move onto another file', () => {
    expect(() => applyOperations(new Map(), [remove('a')])).toThrow(PathMissing);
    expect(() => applyOperations(new Map(), [move('a', 'b')])).toThrow(PathMissing);
    expect(() => applyOperations(new Map(), [move('a', 'a')])).toThrow(PathMissing);
    const both = new Map([
      ['a', file(1)],
      ['b', file(2)],
    ]);
    expect(() => applyOperations(both, [move('a', 'b')])).toThrow(PathExists);
    expect(() => applyOperations(both, [remove('a'), remove('a')])).toThrow(PathMissing);
  });

  it('agrees with a plain map to which the same is done, in path order and in totals', () => {
    const name = fc.constantFrom('a', 'b', 'a/b', 'é', '\ue000', '\u{1f98a}');
    const operation = fc.oneof(
      fc.record({
        op: fc.constant('put' as const),
        path: name,
        id: fc.integer({ min: 1, max: 4 }),
      }),
      fc.record({ op: fc.constant('remove' as const), path: name }),
      fc.record({ op: fc.constant('move' as const), from: name, path: name }),
    );
    const start = fc.dictionary(name, fc.integer({ min: 1, max: 4 }));
    fc.assert(
      fc.property(start, fc.array(operation, { maxLength: 12 }), (before, wanted) => {
        const parent = new Map(Object.entries(before).map(([path, id]) => [path, file(id)]));
        const model = new Map(parent);
        const operations: VersionOperation[] = [];
        for (const each of wanted) {
          if (each.op === 'put') {
            model.set(each.path, file(each.id));
            operations.push(put(each.path, each.id));
          } else if (each.op === 'remove') {
            if (model.delete(each.path)) operations.push(remove(each.path));
          } else {
            const moved = model.get(each.from);
            if (!moved || (model.has(each.path) && each.path !== each.from)) continue;
            model.delete(each.from);
            model.set(each.path, moved);
            operations.push(move(each.from, each.path));
          }
        }
        const touched = new Set(touchedPaths(operations));
        const looked = new Map([...parent].filter(([path]) => touched.has(path)));
        const overlay = applyOperations(looked, operations);

        const result = new Map(parent);
        for (const [path, content] of overlay) {
          if (content) result.set(path, content);
          else result.delete(path);
        }
        expect(new Map([...result].sort())).toEqual(new Map([...model].sort()));
        const paths = overlay.map(([path]) => path);
        expect(paths).toEqual([...paths].sort(comparePaths));

        const size = (content: Content) => content.fileId * 100;
        const total = (version: Map<string, Content>) =>
          [...version.values()].reduce((sum, content) => sum + size(content), 0);
        const delta = totalsDelta(
          overlay,
          (path) => (parent.has(path) ? size(parent.get(path) as Content) : null),
          (id) => id * 100,
        );
        expect(delta).toEqual({
          files: model.size - parent.size,
          sizeBytes: total(model) - total(parent),
        });
      }),
    );
  });
});
