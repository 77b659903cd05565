import { randomBytes } from 'node:crypto';
import type { EventBroker } from '../../src/core/contracts/event-broker.js';
import { brokerOf } from '../../src/events/brokers/broker-registry.js';
import type { BrokerUnderTest } from '../conformance/event-broker.js';
import { tcpProxy } from './tcp-proxy.js';

/** A broker on this machine, and how to take from it all that one test has put there. */
export interface RunningBroker {
  readonly port: number;
  /** The URL of a broker of the name, behind a port. */
  readonly url: (port: number, name: string) => string;
  readonly wipe: (name: string) => Promise<void>;
}

/** Makes brokers of names of their own, each behind a proxy that can be cut. */
export function brokerMaker({ port, url, wipe }: RunningBroker): () => Promise<BrokerUnderTest> {
  return async () => {
    const name = `varve-test-${randomBytes(6).toString('hex')}`;
    const proxy = await tcpProxy({ host: '127.0.0.1', port });
    const made: EventBroker[] = [];
    const another = async () => {
      const broker = (await brokerOf(url(proxy.port, name)))!;
      made.push(broker);
      return broker;
    };
    return {
      broker: await another(),
      url: url(proxy.port, name),
      another,
      wipe: () => wipe(name),
      cut: proxy.cut,
      mend: proxy.mend,
      async dispose() {
        await Promise.all(made.map((broker) => broker.close()));
        await proxy.close();
        await wipe(name);
      },
    };
  };
}
