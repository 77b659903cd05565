import { createClient } from '@redis/client';
import { describeEventBroker } from '../conformance/event-broker.js';
import { describeEventRelay } from '../conformance/event-relay.js';
import { describeWithBroker } from './availability.js';
import { brokerMaker } from './broker-maker.js';

const port = 6379;

const make = brokerMaker({
  port,
  url: (at, name) => `redis://127.0.0.1:${at}?name=${name}`,
  wipe: async (name) => {
    const client = await createClient({ socket: { port } }).connect();
    await client.del(name);
    await client.close();
  },
});

await describeWithBroker('Redis', port, () => {
  describeEventBroker('Redis Streams', make, { refusesTheOutrun: true });
  describeEventRelay('Redis Streams', make);
});
