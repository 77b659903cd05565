import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { describeEventBroker } from '../conformance/event-broker.js';
import { describeEventRelay } from '../conformance/event-relay.js';
import { describeWithBroker } from './availability.js';
import { brokerMaker } from './broker-maker.js';

const port = 4222;

const make = brokerMaker({
  port,
  url: (at, name) => `nats://127.0.0.1:${at}?name=${name}`,
  wipe: async (name) => {
    const client = await connect({ port });
    const manager = await jetstreamManager(client);
    await manager.streams.delete(name).catch(() => undefined);
    await client.close();
  },
});

await describeWithBroker('NATS', port, () => {
  describeEventBroker('NATS JetStream', make, { refusesTheOutrun: true });
  describeEventRelay('NATS JetStream', make);
});
