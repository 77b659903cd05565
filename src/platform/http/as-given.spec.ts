import { describe, expect, it } from '@jest/globals';
import { IsObject, IsOptional, IsString } from 'class-validator';
import { AsGiven } from './as-given.js';
import { validationPipe } from './validation.js';

class Described {
  @AsGiven()
  @IsOptional()
  @IsObject()
  metadata?: unknown;
}
class Named extends Described {
  @AsGiven()
  @IsOptional()
  notes?: unknown;

  @IsString()
  name!: string;
}

const transform = (body: unknown, type: 'body' | 'custom' = 'body'): Promise<unknown> =>
  validationPipe().transform(body, { type, metatype: Named }) as Promise<unknown>;

describe('@AsGiven()', () => {
  it('hands JSON through with members that have a meaning elsewhere', async () => {
    const metadata = { ['constructor']: 1, deep: [{ prototype: { then: null } }], then: 'x' };
    const given = await transform({ name: 'a', metadata, notes: ['x', null] });
    expect(given).toBeInstanceOf(Named);
    expect(given).toEqual({ name: 'a', metadata, notes: ['x', null] });
  });

  it('shows the rules the JSON, not the text that it passes through as', async () => {
    await expect(transform({ name: 'a', metadata: '{"a":1}' })).rejects.toThrow(/^metadata/);
    await expect(transform({ name: 'a', metadata: null })).resolves.toMatchObject({
      metadata: null,
    });
  });

  it('takes bodies without such properties, and leaves to others what they validate', async () => {
    await expect(transform({ name: 'a' })).resolves.toEqual({ name: 'a' });
    await expect(transform({ name: 'a', metadata: undefined })).resolves.toEqual({ name: 'a' });
    const body = { metadata: { a: 1 } };
    expect(await transform(body, 'custom')).toBe(body);
    await expect(transform('text')).rejects.toThrow();
  });
});
