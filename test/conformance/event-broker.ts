import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type {
  BrokerConsumer,
  BrokerDelivery,
  BrokerMessage,
  EventBroker,
} from '../../src/core/contracts/event-broker.js';
import { eventually } from '../builders/eventually.js';

/** A broker to be tried, with nothing in its store, and what can be done to it. */
export interface BrokerUnderTest {
  readonly broker: EventBroker;
  readonly url: string;
  /** Another of the same URL, as another process would make. */
  another(): Promise<EventBroker>;
  /** Takes away all that the broker has of this one, as if its disk had been changed. */
  wipe(): Promise<void>;
  /** Cuts all connections and lets no new ones through, and ends that. */
  readonly cut: () => Promise<void>;
  readonly mend: () => Promise<void>;
  dispose(): Promise<void>;
}

export interface BrokerTraits {
  /** Whether it refuses what comes from somebody who has missed what another has published. */
  readonly refusesTheOutrun: boolean;
  /** Whether a test can take away all that it has. */
  readonly canBeWiped?: boolean;
}

/** The groups that a test may join: what it leaves behind can be taken away. */
export const GROUPS = ['group', 'one', 'test.other/*>%'] as const;
type Group = (typeof GROUPS)[number];

const message = (n: number, text = ''): BrokerMessage => ({
  type: 'dataset.version.created',
  subject: `dataset/${n % 3}`,
  cursor: `700-${n}`,
  body: JSON.stringify({ n, text }),
});
const messages = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => message(from + index));
const numbers = (from: number, to: number) => messages(from, to).map(({ body }) => numberIn(body));
const numberIn = (body: string) => (JSON.parse(body) as { n: number }).n;

/** Takes down what a group is given, and acknowledges unless told otherwise. */
class Member {
  readonly told: string[] = [];
  readonly held: BrokerDelivery[] = [];
  private readonly consumer: BrokerConsumer;

  constructor(broker: EventBroker, group: string, acknowledges = true) {
    this.consumer = broker.consume(group, (deliveries) => {
      for (const delivery of deliveries) {
        this.told.push(delivery.body);
        if (acknowledges) delivery.ack();
        else this.held.push(delivery);
      }
    });
  }

  get numbers(): number[] {
    return this.told.map(numberIn);
  }

  async attached(): Promise<this> {
    await eventually(() => expect(this.consumer.isAttached).toBe(true));
    return this;
  }

  get isAttached(): boolean {
    return this.consumer.isAttached;
  }

  close(): Promise<void> {
    return this.consumer.close();
  }
}

/** What every broker does. `make` gives one whose store has nothing. */
export function describeEventBroker(
  name: string,
  make: () => Promise<BrokerUnderTest>,
  { refusesTheOutrun, canBeWiped = true }: BrokerTraits,
): void {
  describe(`${name}: the contract of a broker`, () => {
    let underTest: BrokerUnderTest;
    let broker: EventBroker;
    let members: Member[];

    const join = async (group: Group, acknowledges = true, of = broker) => {
      const member = new Member(of, group, acknowledges);
      members.push(member);
      return member.attached();
    };
    const publish = async (...all: BrokerMessage[]) => {
      await broker.newest();
      await broker.publish(all);
    };

    beforeEach(async () => {
      members = [];
      underTest = await make();
      broker = underTest.broker;
      await eventually(() => broker.check().then(() => true));
    });
    afterEach(async () => {
      await Promise.all(members.map((member) => member.close()));
      await underTest.dispose();
    });

    it('gives each group every message, in order and as it was', async () => {
      const [one, other] = [await join('one'), await join('test.other/*>%')];
      const odd = message(0, 'naïve 日本 🙂 "\u0001"\n');
      await publish(odd, ...messages(1, 20));
      await broker.publish(messages(21, 40));
      for (const member of [one, other]) {
        await eventually(() => expect(member.numbers).toEqual(numbers(0, 40)));
        expect(member.told[0]).toBe(odd.body);
      }
    });

    it('gives a group what comes while nobody is there', async () => {
      await (await join('group')).close();
      await publish(...messages(1, 5));
      const member = await join('group');
      await eventually(() => expect(member.numbers).toEqual(numbers(1, 5)));
    });

    it('gives again what was not acknowledged, and nothing that was', async () => {
      const first = await join('group', false);
      await publish(...messages(1, 10));
      await eventually(() => expect(first.held).toHaveLength(10));
      for (const delivery of first.held.slice(0, 4)) delivery.ack();
      await first.close();
      const second = await join('group', true, await underTest.another());
      await eventually(() => expect(new Set(second.numbers)).toEqual(new Set(numbers(5, 10))));
    });

    it('runs no further than a thousand messages ahead of what is acknowledged', async () => {
      const member = await join('group', false);
      await broker.newest();
      for (let n = 0; n < 1_500; n += 500) await broker.publish(messages(n + 1, n + 500));
      await eventually(() => expect(member.told.length).toBeGreaterThanOrEqual(500));
      let before = -1;
      await eventually(async () => {
        const now = member.told.length;
        const isStill = now === before;
        before = now;
        if (!isStill) throw new Error('still coming');
      });
      expect(member.told.length).toBeLessThanOrEqual(1_000);
      for (const delivery of member.held.splice(0)) delivery.ack();
      await eventually(() => {
        for (const delivery of member.held.splice(0)) delivery.ack();
        expect(member.numbers).toEqual(numbers(1, 1_500));
      });
    });

    it('tells with which message its store ends', async () => {
      expect(await broker.newest()).toBeNull();
      await broker.publish(messages(1, 3));
      expect(await broker.newest()).toBe('700-3');
      const other = await underTest.another();
      await eventually(() => other.check().then(() => true));
      expect(await other.newest()).toBe('700-3');
      await broker.publish([message(4)]);
      expect(await other.newest()).toBe('700-4');
    });

    if (refusesTheOutrun) {
      it('takes nothing from who has missed what another has published', async () => {
        await publish(message(1));
        const other = await underTest.another();
        await eventually(() => other.newest());
        await other.publish([message(2)]);
        await expect(broker.publish([message(2)])).rejects.toThrow();
        expect(await broker.newest()).toBe('700-2');
        await broker.publish([message(3)]);
        expect(await other.newest()).toBe('700-3');
      });
    }

    if (canBeWiped) {
      it('has nothing after it was wiped, and goes on all the same', async () => {
        const member = await join('group');
        await publish(...messages(1, 3));
        await eventually(() => expect(member.told).toHaveLength(3));
        await underTest.wipe();
        await eventually(async () => expect(await broker.newest()).toBeNull());
        await eventually(async () => {
          // Whoever was in a group is in it again, sooner or later; what comes before is not theirs.
          await broker.newest();
          await broker.publish([message(9)]);
          expect(member.numbers).toContain(9);
        });
      });
    }

    it('rejects while it is away, and comes back by itself', async () => {
      const member = await join('group');
      await publish(message(1));
      await underTest.cut();
      await eventually(async () => {
        await expect(broker.check()).rejects.toThrow();
        expect(member.isAttached).toBe(false);
      });
      await expect(broker.newest()).rejects.toThrow();
      await expect(broker.publish([message(2)])).rejects.toThrow();
      await underTest.mend();
      await eventually(() => broker.check().then(() => true));
      await eventually(() => expect(member.isAttached).toBe(true));
      await publish(message(3));
      await eventually(() => expect(member.numbers).toContain(3));
    });

    it('can be made, joined and closed while it is away', async () => {
      await underTest.cut();
      const other = await underTest.another();
      const member = new Member(other, 'group');
      await expect(other.check()).rejects.toThrow();
      expect(member.isAttached).toBe(false);
      await member.close();
      await other.close();
      await underTest.mend();
    });
  });
}
