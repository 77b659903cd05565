import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { BrokerDelivery, EventBroker } from '../../core/contracts/event-broker.js';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import type { EntrySource, LogEntry } from '../log/entry-source.js';
import { LOG_START } from '../log/log-position.js';
import { BrokerSource } from './broker-source.js';
import { toMessage } from './relayed-event.js';

const entry = (n: number): LogEntry => ({
  position: { transactionId: String(100 + Math.floor(n / 3)), position: String(n) },
  event: {
    specversion: '1.0',
    id: `id-${n}`,
    source: '/varve',
    type: 'dataset.restored',
    subject: `dataset/${n % 2}`,
    time: '2026-01-01T00:00:00.000000Z',
    datacontenttype: 'application/json',
    correlationid: null,
    data: { datasetId: n },
  } as DomainEvent,
});
const LOG = Array.from({ length: 40 }, (_, index) => entry(index + 1));
const bodies = LOG.map((one, index) => toMessage(one, LOG[index - 1]?.position ?? LOG_START).body);
const numberOf = ({ event }: LogEntry) => (event.data as { datasetId: number }).datasetId;

/** A source over a broker that gives what the test says, and a log that counts who asks it. */
function sourceOver({ pageSize = 7, isAttached = true } = {}) {
  let receive: (deliveries: readonly BrokerDelivery[]) => void = () => undefined;
  const acknowledged: string[] = [];
  let readings = 0;
  let rings = 0;
  const broker = {
    consume(_: string, to: typeof receive) {
      receive = to;
      return { isAttached, close: async () => undefined };
    },
  } as unknown as EventBroker;
  const log: EntrySource = {
    after: (position) => log.readAfter(position),
    async readAfter(position) {
      readings++;
      const from = LOG.findIndex(
        (one) => BigInt(one.position.position) > BigInt(position.position),
      );
      const entries = from < 0 ? [] : LOG.slice(from, from + pageSize);
      const end = entries.at(-1)?.position ?? position;
      return { entries, end, isFull: entries.length === pageSize };
    },
    close: async () => undefined,
  };
  const source = new BrokerSource(
    broker,
    'group',
    log,
    () => rings++,
    () => undefined,
  );
  return {
    source,
    acknowledged,
    readings: () => readings,
    rings: () => rings,
    give: (...given: string[]) =>
      receive(given.map((body) => ({ body, ack: () => acknowledged.push(body) }))),
  };
}

describe('what a subscription takes from a broker', () => {
  it('comes from the broker alone while nothing is missing', async () => {
    const { source, give, readings, rings } = sourceOver();
    give(...bodies.slice(0, 3));
    give(...bodies.slice(3, 5));
    expect(rings()).toBe(2);
    const { entries, end } = await source.after(LOG_START);
    expect(entries).toEqual(LOG.slice(0, 5));
    expect((await source.after(end)).entries).toEqual([]);
    expect(readings()).toBe(0);
  });

  it('is acknowledged once the position has passed it, and not before', async () => {
    const { source, give, acknowledged } = sourceOver();
    give(...bodies.slice(0, 3));
    await source.after(LOG_START);
    await source.after(LOG_START);
    expect(acknowledged).toEqual([]);
    await source.after(LOG[1]!.position);
    expect(acknowledged).toEqual(bodies.slice(0, 2));
  });

  it('comes from the log where the broker has lost some, and then from the broker again', async () => {
    const { source, give, readings } = sourceOver({ pageSize: 2 });
    give(bodies[0]!, ...bodies.slice(3, 6));
    const first = await source.after(LOG_START);
    expect(first.entries).toEqual(LOG.slice(0, 1));
    const missed = await source.after(first.end);
    expect(missed.entries).toEqual(LOG.slice(1, 3));
    expect(readings()).toBe(1);
    const rest = await source.after(missed.end);
    expect(rest.entries).toEqual(LOG.slice(3, 6));
    expect(readings()).toBe(1);
  });

  it('comes from the log while the broker is away', async () => {
    const { source } = sourceOver({ isAttached: false, pageSize: 4 });
    expect((await source.after(LOG_START)).entries).toEqual(LOG.slice(0, 4));
  });

  it('comes from the log where it is too large for a broker', async () => {
    const large = entry(2);
    const data = { datasetId: 2, name: 'x'.repeat(600_000) } as DomainEvent['data'];
    const { body } = toMessage({ ...large, event: { ...large.event, data } }, LOG[0]!.position);
    expect(JSON.parse(body)).toMatchObject({
      id: 'id-2',
      dataref: '/api/v1/events?after=100-1&limit=1',
    });
    expect(body).not.toContain('xxx');
    const { source, give } = sourceOver({ pageSize: 1 });
    give(bodies[0]!, body, bodies[2]!);
    const taken: number[] = [];
    let position = LOG_START;
    for (let page; (page = await source.after(position)).entries.length > 0;) {
      taken.push(...page.entries.map(numberOf));
      position = page.end;
    }
    expect(taken).toEqual([1, 2, 3]);
  });

  it('leaves out what is no event of this log', async () => {
    const { source, give, acknowledged } = sourceOver();
    const foreign = [
      '',
      'null',
      '{}',
      '{"cursor":"1-1"}',
      '{"cursor":"x","after":"0-0","type":"a"}',
    ];
    give(...foreign, bodies[0]!);
    expect((await source.after(LOG_START)).entries).toEqual(LOG.slice(0, 1));
    expect(acknowledged).toEqual(foreign);
  });

  it('is the log, each event once and in order, whatever the broker loses, repeats and reorders', async () => {
    const batch = fc.array(fc.integer({ min: 0, max: LOG.length - 1 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 8 }), async (batches) => {
        const { source, give } = sourceOver();
        const taken: number[] = [];
        let position = LOG_START;
        const take = async (from: EntrySource) => {
          for (let page; (page = await from.after(position)).entries.length > 0;) {
            taken.push(...page.entries.map(numberOf));
            position = page.end;
          }
        };
        for (const indexes of batches) {
          give(...indexes.map((index) => bodies[index]!));
          await take(source);
        }
        await take(sourceOver({ isAttached: false }).source);
        expect(taken).toEqual(LOG.map(numberOf));
      }),
    );
  });

  it('is read from the log where that is asked for, and is not handled twice', async () => {
    const { source, give, acknowledged } = sourceOver({ pageSize: LOG.length });
    give(...bodies);
    const { entries, end } = await source.readAfter(LOG_START);
    expect(entries).toEqual(LOG);
    expect((await source.after(end)).entries).toEqual([]);
    expect(acknowledged).toEqual(bodies);
  });
});
