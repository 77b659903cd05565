import { describe, expect, it } from '@jest/globals';
import { InvalidInput } from '../core/problems.js';
import { bodyOfForm, messageOfForm } from './dataset-form.js';

describe('a form that makes a dataset', () => {
  it('stands for the same JSON body', () => {
    const fields = new Map([
      ['name', 'ice'],
      ['metadata', '{"rows":3}'],
      ['tags', 'climate, daily,'],
      ['message', 'From 1978'],
    ]);
    expect(bodyOfForm(fields)).toEqual({
      name: 'ice',
      metadata: { rows: 3 },
      tags: ['climate', 'daily'],
    });
    expect(messageOfForm(fields)).toBe('From 1978');
    expect(messageOfForm(new Map())).toBe('');
  });

  it('refuses a message that no version could carry', () => {
    for (const message of ['a\0', 'x'.repeat(10_001)]) {
      expect(() => messageOfForm(new Map([['message', message]]))).toThrow(InvalidInput);
    }
  });

  it('takes tags as a JSON list, too', () => {
    expect(bodyOfForm(new Map([['tags', '["a","b"]']]))).toEqual({ tags: ['a', 'b'] });
  });

  it('leaves fields that it does not know for validation to refuse', () => {
    expect(bodyOfForm(new Map([['colour', 'red']]))).toEqual({ colour: 'red' });
  });

  it.each([
    ['metadata', '{"rows":'],
    ['metadata', '{"n":9007199254740993}'],
    ['tags', '["a"'],
    ['name', 'a\0b'],
    ['__proto__', 'x'],
  ])('refuses %s=%j', (field, text) => {
    expect(() => bodyOfForm(new Map([[field, text]]))).toThrow(InvalidInput);
  });
});
