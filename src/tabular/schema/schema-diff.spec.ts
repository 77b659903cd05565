import { describe, expect, it } from '@jest/globals';
import type { TableColumn } from '../engine/columns.js';
import { diffSchemas, satisfies, textOf, typeChange } from './schema-diff.js';

const column = (name: string, type: string, more: Partial<TableColumn> = {}): TableColumn => ({
  name,
  type,
  nullable: null,
  ...more,
});

describe('what became of columns', () => {
  const base = [column('id', 'int32'), column('name', 'string')];

  it.each([
    ['nothing', base, 'full'],
    ['one more', [...base, column('x', 'date')], 'full'],
    ['one less', [column('id', 'int32')], 'backward'],
    ['a wider type', [column('id', 'int64'), column('name', 'string')], 'backward'],
    ['a narrower type', [column('id', 'int16'), column('name', 'string')], 'forward'],
    ['another type', [column('id', 'string'), column('name', 'string')], 'breaking'],
    ['less, and narrower', [column('id', 'int8')], 'breaking'],
  ])('%s', (_, head, verdict) => {
    expect(diffSchemas(base, head).verdict).toBe(verdict);
  });

  it('is told column by column', () => {
    const head = [column('key', 'int32'), column('name', 'string', { nullable: true })];
    const was = [base[0]!, column('name', 'string', { nullable: false })];
    expect(diffSchemas(was, head)).toMatchObject({
      added: [{ name: 'key' }],
      removed: [{ name: 'id' }],
      renamed: [{ from: 'id', to: 'key' }],
      retyped: [],
      nullability: [{ name: 'name', nullable: true }],
    });
  });

  it.each<[TableColumn, TableColumn, string | null]>([
    [column('a', 'int32'), column('a', 'float64'), 'widening'],
    [column('a', 'int64'), column('a', 'float64'), 'incompatible'],
    [column('a', 'int8'), column('a', 'float32'), 'widening'],
    [column('a', 'uint8'), column('a', 'int16'), 'widening'],
    [column('a', 'float64'), column('a', 'float32'), 'narrowing'],
    [column('a', 'date'), column('a', 'timestamp'), 'widening'],
    [column('a', 'string'), column('a', 'string'), null],
    [
      column('a', 'decimal', { precision: 9, scale: 2 }),
      column('a', 'decimal', { precision: 12, scale: 3 }),
      'widening',
    ],
    [
      column('a', 'decimal', { precision: 12, scale: 3 }),
      column('a', 'decimal', { precision: 9, scale: 2 }),
      'narrowing',
    ],
    [
      column('a', 'decimal', { precision: 9, scale: 2 }),
      column('a', 'decimal', { precision: 9, scale: 4 }),
      'incompatible',
    ],
    [
      column('a', 'struct', { fields: [column('x', 'int32')] }),
      column('a', 'struct', { fields: [column('x', 'int64')] }),
      'widening',
    ],
    [
      column('a', 'struct', { fields: [column('x', 'int32')] }),
      column('a', 'struct', { fields: [column('x', 'int16')] }),
      'narrowing',
    ],
    [
      column('a', 'list', { fields: [column('item', 'int32')] }),
      column('a', 'list', { fields: [column('item', 'string')] }),
      'incompatible',
    ],
  ])('%j to %j', (from, to, change) => {
    expect(typeChange(from, to)).toBe(change);
  });

  it('has types in full', () => {
    const list = column('a', 'list', {
      fields: [column('item', 'decimal', { precision: 9, scale: 2 })],
    });
    expect(textOf(list)).toBe('list<item: decimal(9,2)>');
  });

  it('satisfies a level or not', () => {
    expect(satisfies('full', 'backward')).toBe(true);
    expect(satisfies('backward', 'backward')).toBe(true);
    expect(satisfies('backward', 'full')).toBe(false);
    expect(satisfies('breaking', 'forward')).toBe(false);
  });
});
