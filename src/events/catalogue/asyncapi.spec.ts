import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EVENT_SCHEMAS } from '../../core/events/catalog.schemas.js';
import { describeEvents } from './asyncapi.js';

interface Shape {
  type?: string | string[];
  properties?: Record<string, Shape>;
  required?: string[];
}

/** What a released event promises: every member of its data, and that it is there. */
function expectKept(released: Shape, now: Shape | undefined, at: string): void {
  expect([at, now?.type]).toEqual([at, released.type]);
  expect(now?.required ?? []).toEqual(expect.arrayContaining(released.required ?? []));
  for (const [name, member] of Object.entries(released.properties ?? {})) {
    expectKept(member, now?.properties?.[name], `${at}.${name}`);
  }
}

describe('the catalogue of events', () => {
  it('changes by addition only: what was released is still there', () => {
    const released = JSON.parse(
      readFileSync('src/events/catalogue/released.json', 'utf8'),
    ) as Record<string, Shape>;
    const now: Readonly<Record<string, Shape | undefined>> = EVENT_SCHEMAS;
    for (const [type, shape] of Object.entries(released)) expectKept(shape, now[type], type);
  });

  it('is described as it is: made anew, the schemas are the same', () => {
    const file = 'src/core/events/catalog.schemas.ts';
    const written = readFileSync(file, 'utf8');
    const made = execFileSync(
      process.execPath,
      ['--import', './test/typescript.mjs', 'scripts/event-catalog.ts', '--print'],
      { encoding: 'utf8' },
    );
    expect(made).toBe(written);
  });

  it('describes each type as a message with the envelope and its data', () => {
    const { components, channels } = describeEvents() as {
      components: { messages: object; schemas: object };
      channels: { events: { messages: object } };
    };
    const types = Object.keys(EVENT_SCHEMAS);
    expect(Object.keys(components.messages)).toEqual(types);
    expect(Object.keys(channels.events.messages)).toEqual(types);
    expect(Object.keys(components.schemas)).toEqual(['Envelope', ...types]);
  });
});
