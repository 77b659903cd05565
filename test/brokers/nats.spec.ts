import { connect } from '@nats-io/transport-node';
import { jetstreamManager } from '@nats-io/jetstream';
import { randomBytes } from 'node:crypto';
import type { EventBroker } from '../../src/core/contracts/event-broker.js';
import { brokerOf } from '../../src/events/brokers/broker-registry.js';
import { describeEventBroker, type BrokerUnderTest } from '../conformance/event-broker.js';
import { describeWithBroker } from './availability.js';
import { tcpProxy } from './tcp-proxy.js';

const PORT = 4222;

async function make(): Promise<BrokerUnderTest> {
  const name = `varve-test-${randomBytes(6).toString('hex')}`;
  const proxy = await tcpProxy({ host: '127.0.0.1', port: PORT });
  const made: EventBroker[] = [];
  const another = async () => {
    const broker = (await brokerOf(`nats://127.0.0.1:${proxy.port}?name=${name}`))!;
    made.push(broker);
    return broker;
  };
  const wipe = async () => {
    const client = await connect({ port: PORT });
    const manager = await jetstreamManager(client);
    await manager.streams.delete(name).catch(() => undefined);
    await client.close();
  };
  return {
    broker: await another(),
    another,
    wipe,
    cut: proxy.cut,
    mend: proxy.mend,
    async dispose() {
      await Promise.all(made.map((broker) => broker.close()));
      await proxy.close();
      await wipe();
    },
  };
}

await describeWithBroker('NATS', PORT, () => {
  describeEventBroker('NATS JetStream', make, { refusesTheOutrun: true });
});
