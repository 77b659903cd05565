import { describe, expect, it } from '@jest/globals';
import type { DomainEvent } from '../contracts/event-bus.js';
import {
  InvalidEventPattern,
  checkEventPattern,
  matchesEventPattern,
  type MatchedEvent,
} from './event-pattern.js';

describe('event patterns', () => {
  it.each([
    ['dataset.created', ['dataset.created']],
    ['dataset.*', ['dataset.created']],
    ['dataset.**', ['dataset', 'dataset.created', 'dataset.version.created']],
    ['*.created', ['dataset.created']],
    ['dataset.*.created', ['dataset.version.created']],
    ['*.**', ['dataset', 'dataset.created', 'dataset.version.created', 'file.uploaded']],
    ['**', ['dataset', 'dataset.created', 'dataset.version.created', 'file.uploaded']],
    ['dataset.*.**', ['dataset.created', 'dataset.version.created']],
    ['*', ['dataset']],
  ])('%s matches the types that it says', (pattern, expected) => {
    const types = ['dataset', 'dataset.created', 'dataset.version.created', 'file.uploaded'];
    expect(types.filter((type) => matchesEventPattern(pattern, type))).toEqual(expected);
  });

  it.each([
    '',
    '.',
    'dataset.',
    '.dataset',
    '**.created',
    'a.**.b',
    'Dataset.*',
    'dataset*',
    'a b',
  ])('%j is none', (pattern) => {
    expect(() => checkEventPattern(pattern)).toThrow(InvalidEventPattern);
  });

  it.each(['*', '**', 'dataset.created', 'a.*.b', 'a.b-c.d_e.**', 'v2.*'])(
    '%j is one',
    (pattern) => {
      expect(() => checkEventPattern(pattern)).not.toThrow();
    },
  );

  it('tell the compiler which events they match', () => {
    // These lines are checked by the type check; a wrong one does not compile.
    const one = (event: MatchedEvent<'dataset.deleted'>): string => event.data.deletedAt;
    const few = (event: MatchedEvent<'file.*'>): string => event.data.sha256;
    const all = (event: DomainEvent<'dataset.version.created'>): MatchedEvent<'dataset.**'> =>
      event;
    // @ts-expect-error an event of a version is two segments below `dataset`
    const not = (event: DomainEvent<'dataset.version.created'>): MatchedEvent<'dataset.*'> => event;
    expect([one, few, all, not]).toHaveLength(4);
  });
});
