import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { EventBroker } from '../../src/core/contracts/event-broker.js';
import { brokerOf } from '../../src/events/brokers/broker-registry.js';
import { describeEventBroker, type BrokerUnderTest } from '../conformance/event-broker.js';
import { describeEventRelay } from '../conformance/event-relay.js';
import { describeWhere } from './availability.js';
import { findProgram } from './own-broker.js';

/**
 * The broker's side of the protocol is librdkafka's mock cluster, which kcat starts: it is not Apache
 * Kafka, keeps everything in memory, and cannot be wiped. To cut it off, its process is stopped.
 */
const kcat = await findProgram('kcat');

async function make(): Promise<BrokerUnderTest> {
  const words = '-C -t unused -b unused -X test.mock.num.brokers=1 -d mock'.split(' ');
  const cluster = spawn(kcat!, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const server = await new Promise<string>((resolve) => {
    createInterface(cluster.stderr).on('line', (line) => {
      const [, found] = /bootstrap\.servers=(\S+)/.exec(line) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  const url = `kafka://${server}?name=varve-test-${randomBytes(6).toString('hex')}`;
  const made: EventBroker[] = [];
  const another = async () => {
    const broker = (await brokerOf(url))!;
    made.push(broker);
    return broker;
  };
  return {
    broker: await another(),
    url,
    another,
    wipe: () => Promise.reject(new Error('The mock cluster cannot be wiped.')),
    cut: async () => void cluster.kill('SIGSTOP'),
    mend: async () => void cluster.kill('SIGCONT'),
    async dispose() {
      cluster.kill('SIGCONT');
      await Promise.all(made.map((broker) => broker.close()));
      const ended = once(cluster, 'exit');
      cluster.kill('SIGKILL');
      await ended;
    },
  };
}

describeWhere(kcat !== null, 'Kafka', 'no kcat is installed, which has a mock cluster', () => {
  describeEventBroker('Kafka', make, { refusesTheOutrun: false, canBeWiped: false });
  describeEventRelay('Kafka', make, { canBeWiped: false });
});
