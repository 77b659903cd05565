import { connect } from 'amqplib';
import { describeEventBroker, GROUPS } from '../conformance/event-broker.js';
import { describeEventRelay } from '../conformance/event-relay.js';
import { describeWithBroker } from './availability.js';
import { brokerMaker } from './broker-maker.js';

const port = 5672;

const make = brokerMaker({
  port,
  url: (at, name) => `amqp://guest:guest@127.0.0.1:${at}?name=${name}`,
  wipe: async (name) => {
    const client = await connect(`amqp://guest:guest@127.0.0.1:${port}`);
    const channel = await client.createChannel();
    await channel.deleteExchange(name);
    await channel.deleteQueue(`${name}.last`);
    for (const group of GROUPS) await channel.deleteQueue(`${name}.group.${group}`);
    await client.close();
  },
});

await describeWithBroker('RabbitMQ', port, () => {
  describeEventBroker('RabbitMQ', make, { refusesTheOutrun: false });
  describeEventRelay('RabbitMQ', make);
});
