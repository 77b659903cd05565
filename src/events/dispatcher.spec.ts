import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import type { DomainEvent } from '../core/contracts/event-bus.js';
import { InvalidEventPattern } from '../core/events/event-pattern.js';
import type { EventId } from '../core/ids.js';
import { RequestContext } from '../platform/logging/request-context.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { Dispatcher } from './dispatcher.js';
import { HandlerCalls } from './handler-calls.js';

const event = (type: string, correlationid: string | null = null): DomainEvent => ({
  specversion: '1.0',
  id: 'an-event' as EventId,
  source: '/test',
  type: type as DomainEvent['type'],
  subject: 'dataset/1',
  time: '2026-03-01T12:00:00.000000Z',
  datacontenttype: 'application/json',
  correlationid,
  data: { datasetId: 1 },
});

describe('Dispatcher', () => {
  let metrics: Metrics;
  let dispatcher: Dispatcher;
  let complaint: jest.SpiedFunction<Logger['error']>;

  beforeEach(() => {
    metrics = new Metrics();
    dispatcher = new Dispatcher(new HandlerCalls({ EVENT_HANDLER_TIMEOUT: 50 }, metrics));
    complaint = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  });
  afterEach(() => {
    complaint.mockRestore();
  });

  const outcomes = async () => {
    const metric = await metrics.registry.getSingleMetric('varve_events_handled_total')!.get();
    return Object.fromEntries(
      metric.values.map(({ labels, value }) => [
        `${labels['subscription']} ${labels['outcome']}`,
        value,
      ]),
    );
  };

  it('calls a handler exactly for the types that its pattern matches', async () => {
    const segment = fc.constantFrom('a', 'b');
    const wildcard = fc.oneof(segment, fc.constant('*'));
    const patterns = fc
      .tuple(fc.array(wildcard, { maxLength: 3 }), fc.oneof(wildcard, fc.constant('**')))
      .map(([beginning, last]) => [...beginning, last].join('.'));
    const types = fc.array(segment, { minLength: 1, maxLength: 5 }).map((all) => all.join('.'));
    // What a pattern means, said another way: as a regular expression over `a.b.c.`.
    const meaning = (pattern: string) =>
      new RegExp(
        `^${pattern
          .split('.')
          .map((part) => (part === '**' ? '([^.]+\\.)*' : part === '*' ? '[^.]+\\.' : `${part}\\.`))
          .join('')}$`,
      );
    await fc.assert(
      fc.asyncProperty(
        fc.array(patterns, { minLength: 1, maxLength: 5 }),
        types,
        async (all, type) => {
          const bus = new Dispatcher(
            new HandlerCalls({ EVENT_HANDLER_TIMEOUT: 1_000 }, new Metrics()),
          );
          const calls = all.map(() => 0);
          all.forEach((pattern, at) =>
            bus.subscribe(pattern, () => void calls[at]!++, `subscription ${at}`),
          );
          await bus.dispatch(event(type));
          expect(calls).toEqual(all.map((pattern) => (meaning(pattern).test(`${type}.`) ? 1 : 0)));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('keeps a handler that fails from harming the others, and tries it again', async () => {
    const told: string[] = [];
    let failures = 0;
    dispatcher.subscribe('**', () => void told.push('before'), 'before');
    dispatcher.subscribe('**', () => Promise.reject(new Error(`no ${++failures}`)), 'fails');
    dispatcher.subscribe(
      '**',
      () => {
        throw new Error(`at once ${++failures}`);
      },
      'throws',
    );
    dispatcher.subscribe('**', () => void told.push('after'), 'after');
    await dispatcher.dispatch(event('dataset.created'));
    expect(told).toEqual(['before', 'after']);
    expect(failures).toBe(6);
    expect(await outcomes()).toEqual({
      'before handled': 1,
      'after handled': 1,
      'fails failed': 1,
      'throws failed': 1,
    });
    expect(complaint).toHaveBeenCalledTimes(2);
  });

  it('counts as handled what succeeds in the end', async () => {
    let tries = 0;
    dispatcher.subscribe(
      '**',
      () => {
        if (++tries < 3) throw new Error('not yet');
      },
      'slow to start',
    );
    await dispatcher.dispatch(event('dataset.created'));
    expect(await outcomes()).toEqual({ 'slow to start handled': 1 });
  });

  it('gives a handler up that hangs, and does not call it again beside itself', async () => {
    let calls = 0;
    dispatcher.subscribe(
      '**',
      () => {
        calls++;
        return new Promise(() => undefined);
      },
      'hangs',
    );
    dispatcher.subscribe('**', () => undefined, 'other');
    await dispatcher.dispatch(event('dataset.created'));
    expect(calls).toBe(1);
    expect(await outcomes()).toEqual({ 'hangs failed': 1, 'other handled': 1 });
  });

  it('is content where nobody listens', async () => {
    await dispatcher.dispatch(event('dataset.created'));
    expect(await outcomes()).toEqual({});
  });

  it('stops calling what has been unsubscribed', async () => {
    const told: string[] = [];
    const first = dispatcher.subscribe('dataset.*', () => void told.push('first'), 'first');
    dispatcher.subscribe('dataset.*', () => void told.push('second'), 'second');
    dispatcher.unsubscribe(first);
    dispatcher.unsubscribe(first);
    await dispatcher.dispatch(event('dataset.created'));
    expect(told).toEqual(['second']);
    dispatcher.subscribe('dataset.*', () => void told.push('again'), 'first');
    await dispatcher.dispatch(event('dataset.created'));
    expect(told).toEqual(['second', 'second', 'again']);
  });

  it('refuses a pattern that is none, and a name that is taken', () => {
    expect(() => dispatcher.subscribe('**.created', () => undefined, 'a')).toThrow(
      InvalidEventPattern,
    );
    dispatcher.subscribe('**', () => undefined, 'a');
    expect(() => dispatcher.subscribe('dataset.*', () => undefined, 'a')).toThrow('named a');
  });

  it('handles as part of the request that the event came from', async () => {
    const ids: (string | null)[] = [];
    dispatcher.subscribe('**', () => void ids.push(RequestContext.requestId()), 'a');
    await dispatcher.dispatch(event('dataset.created', 'request-7'));
    await dispatcher.dispatch(event('dataset.created'));
    expect(ids).toEqual(['request-7', 'an-event']);
  });
});
